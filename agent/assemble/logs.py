"""Logging: an event name and its fields on one line, and the newest lines kept in memory."""

import logging
import sys
from collections import deque
from collections.abc import Iterable
from typing import Final

from agent.core.redaction import redact
from agent.wire.commands import LINE_MAX_CHARS, LINES_MAX

KEPT_MAX_CHARS: Final = 4 * LINE_MAX_CHARS
"""A secret is taken out before a line is shortened, so that no half of it stays."""

_PLAIN = logging.LogRecord("", 0, "", 0, "", (), None)
_STANDARD = {*vars(_PLAIN), "message", "asctime", "taskName"}


class _Fields(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        fields = [f"{key}={_shown(value)}" for key, value in vars(record).items() if key not in _STANDARD]
        head = f"{self.formatTime(record)} {record.levelname.lower():7} {record.getMessage()}"
        text = " ".join([head, *fields])
        return f"{text}\n{self.formatException(record.exc_info)}" if record.exc_info else text


def _shown(value: object) -> str:
    """Always one line: what comes from a model or a broker must not pass for a line of its own."""
    text = str(value)
    return repr(text) if " " in text or not text or not text.isprintable() else text


class Ring(logging.Handler):
    """The newest lines: what an operator may ask for."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self.setFormatter(_Fields())
        self._lines: deque[str] = deque(maxlen=LINES_MAX)

    def emit(self, record: logging.LogRecord) -> None:
        self._lines.extend(line[:KEPT_MAX_CHARS] for line in self.format(record).splitlines())

    def newest(self, count: int, secrets: Iterable[str] = ()) -> tuple[str, ...]:
        """In order of time, the newest last; without secrets, and each shortened."""
        kept = "\n".join(tuple(self._lines))
        lines = redact(kept, secrets).split("\n")[-count:] if kept else []
        return tuple(_shortened(line) for line in lines)


def _shortened(line: str) -> str:
    return line if len(line) <= LINE_MAX_CHARS else f"{line[: LINE_MAX_CHARS - 1]}…"


def configure(*, verbose: bool) -> None:
    logging.getLogger().setLevel(logging.DEBUG if verbose else logging.INFO)


def start(*, verbose: bool) -> Ring:
    """Everything goes to standard error, where a service manager's journal picks it up; the newest lines
    stand in the ring too.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Fields())
    ring = Ring()
    logging.basicConfig(handlers=[handler, ring], force=True)
    configure(verbose=verbose)
    # The library tells each fetched URL at INFO; ours are topics, and trust.refreshed says it once.
    logging.getLogger("tuf").setLevel(logging.WARNING)
    return ring
