"""The updates that have ended here, newest first."""

from agent.core.page.words import ENDED_KEPT, Past


def with_newest(before: tuple[Past, ...], newest: Past) -> tuple[Past, ...]:
    """An end that is told again, after a power cut, stands there once."""
    if before and before[0].ended == newest.ended:
        return before
    return (newest, *before)[:ENDED_KEPT]
