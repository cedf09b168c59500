"""Where measurements of the fleet are kept over time."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Final, Protocol

from deploy.core.page.series_sums import Counted, Heard, Piece, Sums

DAY_S: Final = 86_400
MINUTES_KEPT_S: Final = DAY_S
HOURS_KEPT_S: Final = 90 * DAY_S


class Span(IntEnum):
    """In seconds. Spans begin at multiples of themselves since 1970."""

    MINUTE = 60
    FIVE_MINUTES = 300
    HOUR = 3_600


KEPT_S: Final[Mapping[Span, int]] = {
    Span.MINUTE: MINUTES_KEPT_S,
    Span.FIVE_MINUTES: 2 * DAY_S,
    Span.HOUR: HOURS_KEPT_S,
}
"""The finest first. A day of minutes is too much to be merged for each look at it."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Instants in seconds since 1970, `until` excluded; None: of all."""

    span: Span
    since: int
    until: int
    release: str | None = None
    hardware: str | None = None


@dataclass(frozen=True, slots=True)
class Names:
    releases: tuple[str, ...] = ()
    """The most lately heard first."""
    hardware: tuple[str, ...] = ()
    since: int | None = None


class Series(Protocol):
    """Each span for as long as KEPT_S says, and of each release its first day as long as it is heard.

    Every method raises `StoreFailed` where the disk refuses, and has then changed nothing.
    """

    def add(self, by_minute: Mapping[int, Sums], now: int) -> None:
        """Merge this into what is there, and forget what is too old: all of it or nothing, and durable."""
        ...

    def durations(self, wanted: Wanted, stage: str) -> tuple[Piece, ...]:
        """In the order of time."""
        ...

    def answers(self, wanted: Wanted) -> tuple[Heard, ...]:
        """Of the release that is wanted, in the order of time."""
        ...

    def began(self, release: str) -> int | None:
        """When it was first heard; None: never, or not for so long that it was forgotten."""
        ...

    def count(self, at: int, running: Mapping[str, int]) -> None:
        """Keep how many pipelines run which release at this instant, the last of each span."""
        ...

    def counted(self, wanted: Wanted) -> tuple[Counted, ...]:
        """In the order of time; of all releases, whichever is wanted."""
        ...

    def names(self) -> Names: ...

    def used_bytes(self) -> int: ...
