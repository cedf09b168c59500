"""The worked example keeps what it promises: one epoch of training instead of five."""

import subprocess
import sys
from pathlib import Path

import pytest

DIGITS = Path(sys.prefix) / "digits"


def test_every_mode_is_as_accurate_as_float_and_as_small_as_it_should_be():
    wheels = sorted(DIGITS.glob("*.whl"))
    if not wheels:
        pytest.skip("the digits are not here: make mnist fetches them")
    done = subprocess.run(
        [sys.executable, "-P", "-m", "deploy.recipes.mnist", "--digits", str(wheels[0]), "--epochs", "1"],
        capture_output=True,
        text=True,
        timeout=1200,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert [line.split()[0] for line in done.stdout.splitlines() if "ai-edge-litert" in line] == [
        *("none", "dynamic", "float16", "int8-float-io", "int8", "uint8", "int16x8")
    ]
