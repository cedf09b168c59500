"""One key of a TOML file, set by the installer's awk."""

import subprocess
import tomllib
from pathlib import Path

import pytest

from agent.wire.topics import DeviceId
from deploy.core.device_config import DeviceConfig, to_toml

PARTS = Path(__file__).parents[3] / "deploy/installer"
WRITTEN = to_toml(
    DeviceConfig(
        id=DeviceId("pi-1"),
        url="mqtt://a:1883",
        root="shoal/home",
        protocol="3.1.1",
        trust="root.json",
        stream="main",
    )
)


def with_key(tmp_path: Path, text: str, section: str, key: str, value: str) -> str:
    file = tmp_path / "agent.toml"
    file.write_text(text, encoding="utf-8")
    script = f'. {PARTS}/words.sh; . {PARTS}/settings.sh; set_key "$1" "$2" "$3" "$(quoted "$4")"'
    subprocess.run(["bash", "-euc", script, "bash", str(file), section, key, value], check=True, timeout=30)
    return file.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("section", "key"),
    [
        ("device", "state_dir"),
        ("broker", "url"),
        ("broker", "username"),
        ("broker", "password_file"),
        ("camera", "kind"),
        ("web", "listen"),
        ("log", "verbose"),
    ],
)
@pytest.mark.parametrize("value", ["plain", "", 'quo"ted', "back\\slash", "/a & b", "grün", "[web]"])
def test_a_key_is_set_and_every_other_stays(tmp_path, section, key, value):
    before = tomllib.loads(WRITTEN)
    after = tomllib.loads(with_key(tmp_path, WRITTEN, section, key, value))
    assert after[section][key] == value
    before.setdefault(section, {})[key] = value
    assert after == before


@pytest.mark.parametrize(
    ("text", "becomes"),
    [
        ("", '\n[web]\nlisten = "x"\n'),
        ('[web]\nlisten = "y"\n', '[web]\nlisten = "x"\n'),
        ('[web]\n# listen = "y"\n', '[web]\nlisten = "x"\n'),
        ('[web]\n# listen = "y"\nlisten = "z"\n', '[web]\n# listen = "y"\nlisten = "x"\n'),
        ('[web]\n[log]\nlisten = "y"\n', '[web]\nlisten = "x"\n\n[log]\nlisten = "y"\n'),
        ('[log]\nlistened = "y"\n', '[log]\nlistened = "y"\n\n[web]\nlisten = "x"\n'),
    ],
)
def test_it_takes_its_own_line_or_that_of_its_commented_default(tmp_path, text, becomes):
    assert with_key(tmp_path, text, "web", "listen", "x") == becomes


def test_set_twice_it_is_the_same(tmp_path):
    once = with_key(tmp_path, WRITTEN, "web", "listen", "127.0.0.1:8480")
    assert with_key(tmp_path, once, "web", "listen", "127.0.0.1:8480") == once


CHECKED = """\
degraded  clock                nobody says what time it is
                               -> install systemd-timesyncd
fatal     config.refused       agent.toml line 6: broker.root: topic root 'no/#/topic'
                               -> mend the file

a person must act before this device can serve
"""


@pytest.mark.parametrize(
    ("said", "fault"),
    [
        (CHECKED, "agent.toml line 6: broker.root: topic root 'no/#/topic'"),
        ("Traceback:\nImportError: libc is too old\n\n", "ImportError: libc is too old"),
    ],
)
def test_of_an_examination_the_first_cause_is_told(said, fault):
    told = subprocess.run(
        ["bash", "-euc", f'. {PARTS}/words.sh; fault_in "$1"', "bash", said],
        capture_output=True, text=True, check=True, timeout=30,
    )  # fmt: skip
    assert told.stdout == fault
