"""Completion as a real zsh does it: words are typed on a terminal, and completed by the Tab key."""

import contextlib
import os
import pty
import select
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from deploy.cli.main import main

SHOWN = """
fpath=($ZDOTDIR/functions $fpath)
autoload -U compinit && compinit -u -D
shown() { print -r -- "<$BUFFER>"; BUFFER="" }
zle -N shown; bindkey '^T' shown; bindkey '^I' complete-word
PS1=ready
"""
"""What was typed, as the Tab key has left it, is printed at Ctrl-T."""
WITHIN_S = 60.0


class Typed:
    """A zsh at a terminal."""

    def __init__(self, folder: Path) -> None:
        env = os.environ | {
            "PATH": f"{folder / 'bin'}:{os.environ['PATH']}",
            "PYTHONPATH": str(Path.cwd()),
            "ZDOTDIR": str(folder),
            "TERM": "dumb",
        }
        self._terminal, shells = pty.openpty()
        zsh = ["setsid", "--ctty", "zsh", "-d", "-i"]
        self._zsh = subprocess.Popen(zsh, stdin=shells, stdout=shells, stderr=shells, env=env, cwd=folder)
        os.close(shells)

    def completed(self, words: str) -> str:
        os.write(self._terminal, f"{words}\t\x14".encode())
        return self.until(">").rpartition("<")[2].rpartition(">")[0]

    def until(self, end: str) -> str:
        said, ends = "", time.monotonic() + WITHIN_S
        while end not in said:
            assert select.select([self._terminal], [], [], max(ends - time.monotonic(), 0))[0], said
            said += os.read(self._terminal, 4096).decode()
        return said

    def close(self) -> None:
        self._zsh.kill()
        self._zsh.wait()
        os.close(self._terminal)


@pytest.fixture(scope="module")
def zsh(tmp_path_factory):
    if shutil.which("zsh") is None:
        pytest.skip("zsh is not installed")
    folder = tmp_path_factory.mktemp("zsh") / "fleet"
    assert main(["init", str(folder)]) == 0
    assert main(["enrol", "pi-7", "--workspace", str(folder)]) == 0
    (folder / "bin").mkdir()
    (folder / "functions").mkdir()
    for command, package in (("shoal", "deploy"), ("shoal-agent", "agent")):
        starter = folder / "bin" / command
        starter.write_text(f'#!/bin/sh\nexec "{sys.executable}" -P -m {package} "$@"\n')
        starter.chmod(0o755)
        written = subprocess.run([starter, "completion", "zsh"], capture_output=True, text=True, check=True)
        (folder / "functions" / f"_{command}").write_text(written.stdout)
    (folder / ".zshrc").write_text(SHOWN)
    (folder / "birds.tflite").touch()
    with contextlib.closing(Typed(folder)) as typed:
        typed.until("ready")
        yield typed


@pytest.mark.parametrize(
    ("words", "completed"),
    [
        ("shoal enr", "shoal enrol "),
        ("shoal rollout rev", "shoal rollout revert "),
        ("shoal devices --sta", "shoal devices --standing "),
        ("shoal devices --phase pro", "shoal devices --phase probation "),
        ("shoal release bir", "shoal release birds.tflite "),
        ("shoal why p", "shoal why pi-7 "),
        ("shoal-agent cl", "shoal-agent classify "),
        ("shoal-agent inspect bir", "shoal-agent inspect birds.tflite "),
    ],
)
def test_words_are_completed(words, completed, zsh):
    assert zsh.completed(words) == completed
