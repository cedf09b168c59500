"""What is installed beside the package: the unit, its users, its devices."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from agent.adapters.clock_system import SystemClock
from agent.cli.main import EXIT_CONFIG

FOLDER = Path(__file__).parents[2] / "systemd"
UNIT = FOLDER / "shoal-agent.service"
EXPOSURE_MAX = 20
"""Tenths, as `--threshold=` takes them."""


def run(*argv: str) -> "subprocess.CompletedProcess[str]":
    if shutil.which(argv[0]) is None:
        pytest.skip(f"{argv[0]} is not installed here")
    return subprocess.run(argv, capture_output=True, text=True, check=False, timeout=60)


def values(key: str) -> list[str]:
    """What the unit says under this key, in order."""
    lines = UNIT.read_text(encoding="utf-8").splitlines()
    return [
        value for name, equals, value in (line.partition("=") for line in lines) if equals and name == key
    ]


def test_the_sandbox_leaves_little_exposed():
    done = run("systemd-analyze", "security", "--offline=true", f"--threshold={EXPOSURE_MAX}", str(UNIT))
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr


@pytest.mark.parametrize("example", sorted((FOLDER / "examples").glob("*.conf")), ids=lambda path: path.stem)
def test_an_example_only_tightens_the_sandbox(tmp_path, example):
    with_it = tmp_path / UNIT.name
    with_it.write_text(
        UNIT.read_text(encoding="utf-8") + example.read_text(encoding="utf-8"), encoding="utf-8"
    )
    assert exposure(with_it) < exposure(UNIT)


def exposure(unit: Path) -> float:
    done = run("systemd-analyze", "security", "--offline=true", str(unit))
    found = re.search(r"exposure level for \S+: ([\d.]+)", done.stdout)
    assert found, done.stdout + done.stderr
    return float(found[1])


def test_systemd_understands_every_line_of_the_unit(tmp_path):
    text = UNIT.read_text(encoding="utf-8")
    there = re.sub(r"^ExecStart=\S+", f"ExecStart={shutil.which('true')}", text, flags=re.MULTILINE)
    (tmp_path / UNIT.name).write_text(there, encoding="utf-8")
    done = run("systemd-analyze", "verify", "--man=no", str(tmp_path / UNIT.name))
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_a_broken_configuration_is_not_started_again():
    assert values("RestartPreventExitStatus") == [str(EXIT_CONFIG)]


def test_a_refused_system_call_is_an_error_and_no_death():
    """The clock asks adjtimex, which the sandbox refuses; `SystemClock` takes that for "not told"."""
    assert values("SystemCallErrorNumber") == ["EPERM"]
    assert SystemClock().synchronized() in {True, False}


def test_udev_understands_the_rules():
    done = run("udevadm", "verify", "--resolve-names=never", str(FOLDER / "71-shoal-coral.rules"))
    if "Unknown command verb" in done.stderr:
        pytest.skip("this udevadm has no `verify`; systemd 254 brought it")
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_rules_name_the_accelerator_before_and_after_its_firmware():
    """google-coral: 1a6e:089a (Global Unichip) becomes 18d1:9302 (Google) at the first open."""
    rules = (FOLDER / "71-shoal-coral.rules").read_text(encoding="utf-8")
    found = re.findall(r'ATTR\{idVendor\}=="(\w+)", ATTR\{idProduct\}=="(\w+)".*GROUP="(\w+)"', rules)
    assert found == [("1a6e", "089a", "plugdev"), ("18d1", "9302", "plugdev")]
    assert re.search(r'SUBSYSTEM=="apex".*GROUP="apex"', rules)


def test_the_user_is_in_the_group_of_every_device_that_the_rules_hand_out():
    rules = (FOLDER / "71-shoal-coral.rules").read_text(encoding="utf-8")
    users = (FOLDER / "shoal.sysusers").read_text(encoding="utf-8")
    groups = set(re.findall(r'GROUP="(\w+)"', rules))
    assert groups <= set(re.findall(r"^m shoal (\w+)$", users, re.MULTILINE))


def test_sysusers_makes_the_user_that_the_unit_runs_as(tmp_path):
    user = values("User")[0]
    (tmp_path / "etc").mkdir()
    done = run("systemd-sysusers", f"--root={tmp_path}", str(FOLDER / "shoal.sysusers"))
    assert done.returncode == 0, done.stderr
    assert f"{user}:" in (tmp_path / "etc/passwd").read_text(encoding="utf-8")
    assert re.search(
        rf"^apex:.*\b{user}$", (tmp_path / "etc/group").read_text(encoding="utf-8"), re.MULTILINE
    )
