"""The operator's commands, run as a person would type them."""

import subprocess
import sys
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from agent.wire.errors import ConfigError

NO_WORKSPACE = frozenset({"init", "model"})


def shown(arguments: Sequence[str]) -> str:
    """The command as the reader of the demo would type it: no folders of this run, limits abridged."""
    words = [Path(word).name if word.startswith("/") else word for word in arguments]
    limits = [word for word in words if word.startswith(("--trial-", "--probation-"))]
    kept = [word for word in words if word not in limits]
    return " ".join(["shoal", *kept, *(["--trial-... --probation-..."] if limits else [])])


def run(workspace: Path, arguments: Sequence[str]) -> str:
    """One command, to its end; its output.

    Raises:
        ConfigError: it failed; the message is what it said.
    """
    done = subprocess.run(
        _argv(workspace, arguments),
        capture_output=True,
        stdin=subprocess.DEVNULL,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        said = done.stderr.strip().rpartition("shoal: ")[2] or f"exit status {done.returncode}"
        raise ConfigError(f"{shown(arguments)}: {said}")
    return done.stdout


def _argv(workspace: Path, arguments: Sequence[str]) -> list[str]:
    command, *rest = arguments
    where = [] if command in NO_WORKSPACE else ["--workspace", str(workspace)]
    return [sys.executable, "-P", "-m", "deploy", command, *rest, *where]


@dataclass(frozen=True, slots=True)
class Started:
    arguments: Sequence[str]


@dataclass(frozen=True, slots=True)
class Failed:
    arguments: Sequence[str]
    error: str


class Errands:
    """Commands that run one after another while the live table goes on."""

    def __init__(self, workspace: Path) -> None:
        self._workspace = workspace
        self._waiting: deque[Sequence[str]] = deque()
        self._running: tuple[Sequence[str], subprocess.Popen[str]] | None = None

    def add(self, *commands: Sequence[str]) -> None:
        self._waiting.extend(commands)

    def poll(self) -> Iterator[Started | Failed]:
        """Say what has failed, and start what is next."""
        if self._running is not None and self._running[1].poll() is not None:
            arguments, process = self._running
            _, error = process.communicate()
            self._running = None
            if process.returncode != 0:
                self._waiting.clear()
                yield Failed(arguments, error.strip())
        if self._running is None and self._waiting:
            yield Started(self._start(self._waiting.popleft()))

    def close(self) -> None:
        self._waiting.clear()
        if self._running is not None:
            process = self._running[1]
            process.kill()
            process.communicate()
            self._running = None

    def _start(self, arguments: Sequence[str]) -> Sequence[str]:
        process = subprocess.Popen(
            _argv(self._workspace, arguments),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            # Ctrl-C is for the demo, which ends its children itself.
            start_new_session=True,
        )
        self._running = (arguments, process)
        return arguments
