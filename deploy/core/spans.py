"""Spans of time, amounts of bytes, numbers of things and lists of names, as people say them."""

from collections.abc import Sequence

_UNITS = ((86_400, "d"), (3_600, "h"), (60, "min"))


def span(seconds: float) -> str:
    """In its largest unit, rounded down, and never negative: clocks differ."""
    for size, unit in _UNITS:
        if seconds >= size:
            return f"{int(seconds // size)} {unit}"
    return f"{int(max(seconds, 0.0))} s"


def volume(amount_bytes: float) -> str:
    """In the decimal unit that leaves one to three digits before the point."""
    for size, unit in ((1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if amount_bytes >= size:
            return f"{amount_bytes / size:.1f} {unit}"
    return f"{int(amount_bytes)} B"


def counted(number: int, of: str) -> str:
    return f"{number:,} {of}" if number == 1 else f"{number:,} {of}s"


def listed(names: Sequence[str], named_max: int | None = None) -> str:
    """The first of them, and how many there are beside; None: all."""
    beside = len(names) - len(names[:named_max])
    return ", ".join(names[:named_max]) + (f" and {beside:,} more" if beside else "")
