"""How a child process that ran native code came out of it, if not with its answer."""

from dataclasses import dataclass


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


Unanswered = Failed | Died | Late


def in_words(outcome: Unanswered) -> str:
    match outcome:
        case Failed(detail):
            return detail
        case Died(how, last_words):
            return f"{how}{last_words and f' ({last_words})'}"
        case Late(limit_s):
            return f"no answer within {limit_s:g} s"
