"""What the shipped classifier goes through before its integers: a small network of its kind, a real child."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = Path(__file__).parent / "lite0_integers.py"
REPOSITORY = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def found():
    done = subprocess.run(
        [sys.executable, str(PROGRAM)],
        check=True,
        capture_output=True,
        cwd=REPOSITORY,
        timeout=300,
    )
    return json.loads(done.stdout)


def test_raised_channels_fill_the_range_and_the_network_answers_as_before(found):
    assert found["raised_differs"] < 1e-5
    for before, after in zip(found["wide_before"], found["wide_after"], strict=True):
        assert after == pytest.approx(min(8.0 * before, 6.0), rel=0.01)


def test_corrected_biases_undo_what_rounding_adds_on_average_and_leave_the_kernels(found):
    assert found["shift_corrected"] < 0.8 * found["shift_raised"]
    assert found["kernels_kept"]
    assert found["classifier_kept"]
