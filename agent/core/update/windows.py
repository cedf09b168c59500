"""When an update may begin: maintenance windows, in UTC, that repeat every week."""

import re
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Final

from agent.wire.documents import MaintenanceWindow
from agent.wire.errors import ConfigError

DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
DAILY: Final = "daily"
HORIZON: Final = timedelta(days=8)
"""All windows repeat within a week."""
_TEXT: Final = re.compile(r"(?P<days>[a-z,-]+) +(?P<start>\d\d:\d\d)-(?P<end>\d\d:\d\d)")
_DAY: Final = timedelta(days=1)


def opens(windows: Sequence[MaintenanceWindow], at: datetime) -> datetime:
    """The first instant from `at` on at which one of them is open; `at` where there are none.

    A window begins on each of its days and may end on the next one; its last instant is not in it.
    """
    begins = list(_begins(windows, at))
    if not windows or any(start <= at < start + length for start, length in begins):
        return at
    return min(start for start, _ in begins if start > at)


def opens_all(rules: Sequence[Sequence[MaintenanceWindow]], at: datetime) -> datetime | None:
    """The first instant from `at` on at which every one of the rules has a window open; None: never."""
    instant = at
    while instant <= at + HORIZON:
        later = max((opens(windows, instant) for windows in rules), default=instant)
        if later == instant:
            return instant
        instant = later
    return None


def _begins(windows: Sequence[MaintenanceWindow], at: datetime) -> Iterator[tuple[datetime, timedelta]]:
    """Each window that began yesterday or begins within the week to come, with its length."""
    midnight = at.replace(hour=0, minute=0, second=0, microsecond=0)
    for offset in range(-1, 8):
        day = midnight + offset * _DAY
        for window in windows:
            if day.weekday() in window.days:
                yield day + timedelta(minutes=window.start_minute), timedelta(minutes=window.minutes)


def parse(text: str) -> MaintenanceWindow:
    """A window as people write it: `mon-fri 02:00-05:00`, `sat,sun 22:00-06:00` or `daily 00:00-00:00`.

    An end that is not after the start is on the next day.

    Raises:
        ConfigError: it is none.
    """
    found = _TEXT.fullmatch(text.strip().lower())
    days = _days(found["days"]) if found else ()
    start, end = (_minute(found["start"]), _minute(found["end"])) if found else (None, None)
    if not days or start is None or end is None:
        raise ConfigError(
            f"{text[:80]!r} is no maintenance window: write it as 'mon-fri 02:00-05:00', in UTC, or "
            "'daily 22:00-04:00'"
        )
    return MaintenanceWindow(days=days, start_minute=start, minutes=(end - start) % 1440 or 1440)


def _minute(text: str) -> int | None:
    hours, minutes = int(text[:2]), int(text[3:])
    return hours * 60 + minutes if hours < 24 and minutes < 60 else None


def _days(text: str) -> tuple[int, ...]:
    """Empty: one of them is no day."""
    if text == DAILY:
        return tuple(range(7))
    days: set[int] = set()
    for part in text.split(","):
        first, _, last = part.partition("-")
        if first not in DAYS or (last or first) not in DAYS or part.endswith("-"):
            return ()
        begin, length = DAYS.index(first), (DAYS.index(last or first) - DAYS.index(first)) % 7
        days |= {(begin + offset) % 7 for offset in range(length + 1)}
    return tuple(sorted(days))
