"""A process of the factory ended without an answer: converters do that to models they do not understand."""

import re
from collections.abc import Sequence
from typing import Final

from agent.wire.errors import PortError

_SIGNALS: Final = {
    4: "SIGILL",
    6: "SIGABRT",
    7: "SIGBUS",
    8: "SIGFPE",
    9: "SIGKILL",
    11: "SIGSEGV",
    15: "SIGTERM",
}
_KILLED: Final = 9
_CHATTER: Final = re.compile(r"^(\d{4}-\d\d-\d\d |[IW]0000 |WARNING|INFO|To enable|\s*$)")


class FactoryDied(PortError):
    """Another model, another mode or more memory may help."""


def in_words(status: int, told: Sequence[str]) -> str:
    """How it ended, and the last thing that it said.

    Args:
        status: as `subprocess` has it: below zero, the number of the signal.
        told: the lines of its standard error.
    """
    last = next((line.strip() for line in reversed(told) if not _CHATTER.match(line)), "")
    said = f"; its last words: {last[:200]}" if last else ""
    if status == -_KILLED:
        return f"the factory's process was killed (SIGKILL), mostly for want of memory{said}"
    if status < 0:
        return f"the factory's process died of {signal_name(-status)}{said}"
    return f"the factory's process ended with status {status} and no answer{said}"


def signal_name(number: int) -> str:
    return _SIGNALS.get(number, f"signal {number}")
