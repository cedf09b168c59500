"""The controller's unit."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

UNIT = Path(__file__).parents[2] / "systemd" / "shoal-serve.service"
EXPOSURE_MAX = 20
"""Tenths, as `--threshold=` takes them."""


def analyze(*argv: str) -> "subprocess.CompletedProcess[str]":
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed here")
    return subprocess.run(["systemd-analyze", *argv], capture_output=True, text=True, check=False, timeout=60)


def test_the_sandbox_of_the_controller_leaves_little_exposed():
    done = analyze("security", "--offline=true", f"--threshold={EXPOSURE_MAX}", str(UNIT))
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr


def test_systemd_understands_every_line_of_the_controllers_unit(tmp_path):
    there = re.sub(
        r"^ExecStart=\S+", f"ExecStart={shutil.which('true')}", UNIT.read_text(), flags=re.MULTILINE
    )
    (tmp_path / UNIT.name).write_text(there)
    done = analyze("verify", "--man=no", str(tmp_path / UNIT.name))
    assert (done.returncode, done.stdout + done.stderr) == (0, "")
