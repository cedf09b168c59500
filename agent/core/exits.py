"""How a process ended, as people say it."""

import signal


def in_words(status: int) -> str:
    """`exit status 1`, or `killed by SIGSEGV`.

    Args:
        status: as `subprocess` gives it: below zero, the signal that ended the process.
    """
    if status >= 0:
        return f"exit status {status}"
    try:
        return f"killed by {signal.Signals(-status).name}"
    except ValueError:
        return f"killed by signal {-status}"


def with_last_words(status: int, said: str) -> str:
    """The same, and of a process that ended by itself the last line on its standard error."""
    return in_words(status) if status < 0 else f"{in_words(status)}: {last_line(said) or 'no word'}"


def last_line(said: str) -> str:
    """Empty where it said nothing."""
    return next(reversed(said.strip().splitlines()), "")
