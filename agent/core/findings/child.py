"""How a child process that ran native code came out of it, if not with its answer."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Failed:
    """It raised, and lived to tell."""

    detail: str


@dataclass(frozen=True, slots=True)
class Died:
    how: str
    """As `killed by SIGSEGV` or `exit status 1`."""
    last_words: str = ""
    """The last line on its standard error."""


@dataclass(frozen=True, slots=True)
class Late:
    limit_s: float


@dataclass(frozen=True, slots=True)
class Unstarted:
    """Nothing ran at all, which says nothing about what was to run."""

    reason: str


UNSTARTED_REMEDY: Final = (
    "let this user run that interpreter, and see how much memory is free and how many processes it may have"
)
Unanswered = Failed | Died | Late | Unstarted


def in_words(outcome: Unanswered) -> str:
    match outcome:
        case Failed(detail):
            return detail
        case Died(how, last_words):
            return f"{how}{last_words and f' ({last_words})'}"
        case Late(limit_s):
            return f"no answer within {limit_s:g} s"
        case Unstarted(reason):
            return f"no child process can be started: {reason}"
