"""Both commands answer into whatever stands behind their streams, or say in a sentence that they cannot."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.rig import REPOSITORY

COMMANDS = ("agent completion bash", "deploy model list", "deploy model list --json")
FULL = Path("/dev/full")
MAX_S = 120.0


def ran(words: str, streams: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["sh", "-c", f"{sys.executable} -P -m {words} {streams}"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
        timeout=MAX_S,
    )


@pytest.mark.skipif(not FULL.exists(), reason="no device that is always full")
@pytest.mark.parametrize("words", COMMANDS)
def test_an_answer_that_cannot_be_written_is_one_sentence(words):
    done = ran(words, f">{FULL}")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.endswith(": it could not be written: No space left on device\n")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("words", COMMANDS)
def test_a_closed_standard_output_is_no_reason_to_complain(words):
    done = ran(words, ">&- <&-")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize("words", ["agent inspect nothing.tflite", "deploy devices --workspace nothing"])
def test_a_complaint_does_not_stand_in_the_answer_where_standard_error_is_closed(words):
    done = ran(words, "2>&-")
    assert done.returncode != 0
    assert done.stdout == ""
