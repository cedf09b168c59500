import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from agent.adapters.acceptance_files import AcceptanceFiles
from agent.cli import accept as command
from agent.cli.main import main
from agent.core.page.words import Offered
from agent.wire.topics import sha256

OFFERED = Offered(name="cats", version="2", manifest=sha256(b"cats 2"))


@pytest.fixture
def config(tmp_path):
    path = tmp_path / "agent.toml"
    path.write_text(
        '[device]\nid = "pi"\nstate_dir = "state"\n'
        '[pipeline.side]\nstream = "side"\ncamera = { kind = "pattern" }\n'
    )
    return path


def files(config, pipeline=""):
    return AcceptanceFiles(config.parent / "state" / pipeline)


def takes(files):
    """What an agent does that looks for a word."""
    ends = time.monotonic() + 10
    while (found := files.taken()) is None and time.monotonic() < ends:
        time.sleep(0.01)
    return found


def accept(config, *words):
    return main(["accept", *words, "--config", str(config)])


def test_what_waits_is_accepted(config, capsys):
    files(config).offer(OFFERED)
    assert accept(config, "--show") == 0
    assert files(config).taken() is None
    assert "cats 2 waits to be accepted: shoal-agent accept 2" in capsys.readouterr().out
    with ThreadPoolExecutor(1) as agent:
        took = agent.submit(takes, files(config))
        assert accept(config, "2") == 0
        assert took.result() == OFFERED.manifest
    assert "cats 2 is accepted" in capsys.readouterr().out


def test_a_word_that_no_agent_takes_is_taken_back(config, capsys, monkeypatch):
    monkeypatch.setattr(command, "PATIENCE_S", 0.2)
    files(config).offer(OFFERED)
    assert accept(config) == 1
    assert "cats 2 is not accepted" in capsys.readouterr().err
    assert files(config).taken() is None


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "no release waits to be accepted"),
        (("--pipeline", "side"), "no release waits"),
        (("--pipeline", "attic"), "there is no pipeline 'attic' here, but main, side"),
    ],
)
def test_where_nothing_waits_nothing_is_accepted(config, capsys, words, said):
    assert accept(config, *words) == 1
    assert said in capsys.readouterr().err


def test_another_version_than_the_one_that_waits_is_refused(config, capsys):
    files(config, "pipelines/side").offer(OFFERED)
    assert accept(config, "3", "--pipeline", "side") == 1
    assert "cats 2 waits to be accepted, not 3" in capsys.readouterr().err
    assert files(config, "pipelines/side").taken() is None
