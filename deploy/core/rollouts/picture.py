"""What the controller sees of the fleet at one instant: all that a gate is given."""

from datetime import datetime
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from agent.wire.documents import Instant
from agent.wire.reports import Report
from agent.wire.topics import DeviceId


class Seen(Struct, frozen=True, kw_only=True):
    """One device. What it told is taken only where it is its own: sealed, and newer than what was seen."""

    id: DeviceId
    hardware: str = ""
    tags: tuple[str, ...] = ()
    online: bool = False
    """As its status says."""
    said_at: Instant | None = None
    """When it last said that it is there, by its own clock."""
    beat_at: Instant | None = None
    """When that came, by our clock; of a word that lay on the broker: when it was said, if that is past."""
    beat_s: float = 0.0
    """How often it says so; 0: once."""
    gone_at: Instant | None = None
    """When it was seen to go offline; None of one that was offline already when first looked at."""
    free_at: Instant | None = None
    """When it was seen to come online, or to be no longer held by what is none of the release's making; None
    of one that was there all along. Its deadline counts from then."""
    report: Report | None = None
    heard_at: Instant | None = None
    """When the newest report came, by our clock; of one that lay on the broker: when it was read."""
    known: bool = True
    """It was enrolled, or was there when the rollout began: it was counted."""


class Picture(Struct, frozen=True, kw_only=True):
    at: Instant
    devices: tuple[Seen, ...]
    """Sorted by id."""
    missing: tuple[str, ...] = ()
    """Shards that were not read to their end, in words: the picture is incomplete."""
    refused: tuple[str, ...] = ()
    """What was not believed, in words."""


BEATS_MISSED: Final = 3
"""Of a device that never said that it goes: its broker was killed, or holds the will back."""


def present(seen: Seen, at: datetime) -> Seen:
    """The device as it is to be taken at this instant: gone, if it was silent for too long."""
    if not seen.online or not seen.beat_s or seen.beat_at is None:
        return seen
    if (at - seen.beat_at).total_seconds() <= BEATS_MISSED * seen.beat_s:
        return seen
    return replace(seen, online=False, gone_at=seen.beat_at)
