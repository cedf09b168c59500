"""What the controller sees of the fleet at one instant: all that a gate is given."""

from msgspec import Struct

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
