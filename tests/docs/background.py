"""Stands in front of the commands of `shoal` and `shoal-agent` that do not just answer and end.

What runs until it is stopped goes on behind the reader's back as soon as it does what it is there for; a
device that is enrolled comes and reports; who is asked for a password types one.

The arguments are FOLDER PROGRAM WORDS...; FOLDER gets a file for each process that goes on, named by its
number, with what it said.
"""

import os
import pty
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Final

PACKAGES: Final = {"shoal": "deploy", "shoal-agent": "agent"}
ATTENDED: Final = {"shoal": ("serve", "watch", "enrol", "users"), "shoal-agent": ("run",)}
"""The commands that this stands in front of."""
READY: Final = {
    ("shoal", "serve"): r"^serving ",
    ("shoal", "watch"): r"^\d\d:\d\d:\d\d ",
    ("shoal-agent", "run"): r"model\.serving",
}
"""What each of them says when it does what it is there for."""
WAIT_S: Final = 300.0


def main(folder: Path, program: str, words: list[str]) -> int:
    argv = [sys.executable, "-P", "-m", PACKAGES[program], *words]
    ready = READY.get((program, words[0] if words else ""))
    if words[0] == "users":
        return _answered(argv)
    if ready is None:
        return _enrolled(argv, words[1])
    said = folder / f"{program}-{words[0]}-{time.monotonic_ns()}.log"
    with said.open("wb") as log:
        process = subprocess.Popen(
            argv, stdout=log, stderr=log, stdin=subprocess.DEVNULL, env=_environment(), start_new_session=True
        )
    said.rename(folder / f"{process.pid}.log")
    return _wait(process, folder / f"{process.pid}.log", re.compile(ready, re.MULTILINE))


def _enrolled(argv: list[str], device: str) -> int:
    from tests.docs import devices

    code = subprocess.call(argv, env=_environment())
    if code == 0:
        devices.appear(Path(), [device])
    return code


def _answered(argv: list[str]) -> int:
    """Of a command that has a terminal, at which the password is typed as often as it is asked for."""

    def heard(terminal: int) -> bytes:
        said = os.read(terminal, 1024)
        if said.rstrip().endswith(b":"):
            os.write(terminal, b"a horse that counts\n")
        return said

    os.environ.pop("PYTHONPATH", None)
    return os.waitstatus_to_exitcode(pty.spawn(argv, heard))


def _environment() -> dict[str, str]:
    """The command finds itself where it is installed, and not in this checkout."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}


def _wait(process: "subprocess.Popen[bytes]", said: Path, ready: re.Pattern[str]) -> int:
    ends = time.monotonic() + WAIT_S
    while not ready.search(said.read_text()):
        if process.poll() is not None or time.monotonic() > ends:
            sys.stderr.write(f"{' '.join(process.args[4:])}: not {ready.pattern!r}:\n{said.read_text()}")
            return process.poll() or 1
        time.sleep(0.1)
    process.returncode = 0
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2], sys.argv[3:]))
