"""Logging: an event name and its fields on one line."""

import logging
import sys

_PLAIN = logging.LogRecord("", 0, "", 0, "", (), None)
_STANDARD = {*vars(_PLAIN), "message", "asctime", "taskName"}


class _Fields(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        fields = [f"{key}={_shown(value)}" for key, value in vars(record).items() if key not in _STANDARD]
        head = f"{self.formatTime(record)} {record.levelname.lower():7} {record.getMessage()}"
        text = " ".join([head, *fields])
        return f"{text}\n{self.formatException(record.exc_info)}" if record.exc_info else text


def _shown(value: object) -> str:
    text = str(value)
    return repr(text) if " " in text or not text else text


def start(*, verbose: bool) -> None:
    """Everything goes to standard error, where a service manager's journal picks it up."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Fields())
    logging.basicConfig(level=logging.DEBUG if verbose else logging.INFO, handlers=[handler], force=True)
    # The library tells each fetched URL at INFO; ours are topics, and trust.refreshed says it once.
    logging.getLogger("tuf").setLevel(logging.WARNING)
