"""An installation of the program has a name that another one does not have."""

from importlib.metadata import version

import pytest
from msgspec.structs import replace

from agent.assemble import installed
from agent.wire.reports import Capabilities

HERE = Capabilities(hardware="cpu", agent="0.1.0", runtime="ai-edge-litert 2.3.0")


class Distribution:
    def __init__(self, files: str | None) -> None:
        self._files = files

    def read_text(self, name: str) -> str | None:
        return self._files if name == "RECORD" else None


def named(monkeypatch: pytest.MonkeyPatch, files: str | None, there: Capabilities) -> str:
    monkeypatch.setattr(installed, "distribution", lambda _: Distribution(files))
    return installed.program(there)


@pytest.mark.parametrize(
    ("files", "there"),
    [
        ("agent/cli/main.py,sha256=b,7", HERE),
        (None, HERE),
        ("agent/cli/main.py,sha256=a,7", replace(HERE, agent="0.1.1")),
        ("agent/cli/main.py,sha256=a,7", replace(HERE, runtime="ai-edge-litert 2.4.0")),
    ],
)
def test_other_files_another_version_and_another_runtime_make_another_program(monkeypatch, files, there):
    first = named(monkeypatch, "agent/cli/main.py,sha256=a,7", HERE)
    assert named(monkeypatch, "agent/cli/main.py,sha256=a,7", HERE) == first
    assert named(monkeypatch, files, there) != first


def test_this_installation_has_a_name():
    assert version("shoal") in installed.program(replace(HERE, agent=version("shoal")))
