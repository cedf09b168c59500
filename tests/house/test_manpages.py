"""Manual pages are made of the parsers, and typesetting them raises no doubt."""

import shutil
import subprocess
import sys

import pytest

from tests.docs.blocks import ROOT


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    folder = tmp_path_factory.mktemp("man")
    subprocess.run([sys.executable, ROOT / "packaging/manpages.py", folder], check=True, capture_output=True)
    return folder


def test_each_command_has_a_page_and_a_child_process_has_none(pages):
    names = {path.stem for path in pages.iterdir()}
    assert {"shoal", "shoal-agent", "shoal-rollout-start", "shoal-agent-run"} <= names
    assert not names & {"shoal-agent-worker", "shoal-agent-canary", "shoal-agent-_native"}


def test_a_page_tells_what_help_tells(pages):
    said = (pages / "shoal-devices.1").read_text()
    for expected in (".SH SYNOPSIS", r"\-\-standing", ".SH EXAMPLES", ".SH EXIT STATUS", r"shoal\-why(1)"):
        assert expected in said


def test_pages_are_set_without_a_warning(pages):
    if shutil.which("groff") is None:
        pytest.skip("groff is not installed")
    argv = ["groff", "-man", "-ww", "-Kutf8", "-Tutf8", "-z", *map(str, pages.iterdir())]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
