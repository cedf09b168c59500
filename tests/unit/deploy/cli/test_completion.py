"""Completion as a real bash does it: the program is sourced, and asked as bash asks it for a word."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from deploy.cli.main import main

ASK = """
source "$1"; shift
COMP_WORDS=("$@"); COMP_CWORD=$(( $# - 1 )); COMP_LINE="$*"; COMP_POINT=${#COMP_LINE}
$(complete -p "$1" | sed 's/.*-F \\([^ ]*\\).*/\\1/') "$1" "${COMP_WORDS[COMP_CWORD]}"
printf '%s\\n' "${COMPREPLY[@]}"
"""


@pytest.fixture(scope="module")
def programs(tmp_path_factory) -> Path:
    """The programs for bash, and the command that one of them asks for names."""
    if shutil.which("bash") is None:
        pytest.skip("bash is not installed")
    folder = tmp_path_factory.mktemp("completion")
    for command, package in (("shoal", "deploy"), ("shoal-agent", "agent")):
        argv = [sys.executable, "-P", "-m", package, "completion", "bash"]
        written = subprocess.run(argv, capture_output=True, text=True, check=True)
        (folder / f"{command}.bash").write_text(written.stdout)
    starter = folder / "shoal"
    starter.write_text(f'#!/bin/sh\nexec "{sys.executable}" -P -m deploy "$@"\n')
    starter.chmod(0o755)
    return folder


def offered(programs: Path, *words: str, folder: Path) -> set[str]:
    argv = ["bash", "-c", ASK, "bash", str(programs / f"{words[0]}.bash"), *words]
    env = os.environ | {"PATH": f"{programs}:{os.environ['PATH']}", "PYTHONPATH": str(Path.cwd())}
    done = subprocess.run(argv, capture_output=True, text=True, check=True, cwd=folder, env=env)
    assert done.stderr == ""
    return set(done.stdout.split())


@pytest.mark.parametrize(
    ("words", "some"),
    [
        (("shoal", "re"), {"release", "revoke"}),
        (("shoal", "rollout", "re"), {"resume", "revert"}),
        (("shoal", "devices", "--sta"), {"--standing"}),
        (("shoal", "devices", "--phase", "pro"), {"probation"}),
        (("shoal", "devices", "--workspace", "f"), {"fleet"}),
        (("shoal", "release", "bi"), {"birds.tflite"}),
        (("shoal-agent", "c"), {"check", "classify", "completion"}),
        (("shoal-agent", "run", "--config", "pi"), {"pi-1.toml"}),
        (("shoal-agent", "w"), set()),
    ],
    ids=lambda each: " ".join(each) if isinstance(each, tuple) else "",
)
def test_words_are_completed(words, some, programs, tmp_path):
    (tmp_path / "fleet").mkdir()
    for name in ("birds.tflite", "pi-1.toml"):
        (tmp_path / name).touch()
    assert offered(programs, *words, folder=tmp_path) == some


def test_devices_of_the_workspace_are_completed_and_elsewhere_nothing_is_said(programs, tmp_path):
    assert main(["init", str(tmp_path / "fleet")]) == 0
    enrol(tmp_path / "fleet", "pi-7", "pi-8", "door")
    assert offered(programs, "shoal", "why", "pi", folder=tmp_path / "fleet") == {"pi-7", "pi-8"}
    assert offered(programs, "shoal", "why", "pi", folder=tmp_path) == set()


def enrol(workspace: Path, *devices: str) -> None:
    for device in devices:
        assert main(["enrol", device, "--workspace", str(workspace)]) == 0
