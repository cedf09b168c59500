"""What the controller sees of the fleet at one instant: all that a gate is given."""

from datetime import datetime
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from agent.wire.documents import Instant
from agent.wire.reports import Report
from agent.wire.topics import MAIN, DeviceId


class Told(Struct, frozen=True, kw_only=True):
    """A report of a pipeline besides `main`, and its instants as in `Seen`."""

    report: Report
    heard_at: Instant
    free_at: Instant | None = None


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
    left: bool = False
    """It said itself that it goes, because it was told to stop."""
    free_at: Instant | None = None
    """When it was seen to come online, or to be no longer held by what is none of the release's making; None
    of one that was there all along. Its deadline counts from then."""
    report: Report | None = None
    heard_at: Instant | None = None
    """When the newest report came, by our clock; of one that lay on the broker: when it was read."""
    known: bool = True
    """It was enrolled, or was there when the rollout began: it was counted."""
    further: tuple[Told, ...] = ()
    """Of its pipelines besides `main`, by their names."""


class Picture(Struct, frozen=True, kw_only=True):
    at: Instant
    devices: tuple[Seen, ...]
    """Sorted by id."""
    missing: tuple[str, ...] = ()
    """Shards that were not read to their end, in words: the picture is incomplete."""
    refused: tuple[str, ...] = ()
    """What was not believed, in words."""
    since: Instant | None = None
    """From when on devices could be heard without a break: no silence is longer. None: all along."""


def of_pipeline(seen: Seen, pipeline: str) -> Seen:
    """The device by what this pipeline of it tells; without a report where that has told nothing."""
    if pipeline == MAIN:
        return replace(seen, further=()) if seen.further else seen
    told = next((told for told in seen.further if told.report.pipeline == pipeline), None)
    if told is None:
        return replace(seen, report=None, heard_at=None, further=())
    return _by(seen, told)


def of_stream(picture: Picture, stream: str) -> Picture:
    """The fleet as far as it follows this stream: of each device the first pipeline that does, `main` before
    the others. A device that has not reported yet may.
    """
    found = (_of_stream(seen, stream) for seen in picture.devices)
    return replace(picture, devices=tuple(seen for seen in found if seen is not None))


def _of_stream(seen: Seen, stream: str) -> Seen | None:
    if seen.report is None or seen.report.stream in {"", stream}:
        return replace(seen, further=()) if seen.further else seen
    for told in seen.further:
        if told.report.stream == stream:
            return _by(seen, told)
    return None


def _by(seen: Seen, told: Told) -> Seen:
    return replace(seen, report=told.report, heard_at=told.heard_at, free_at=_later(seen, told), further=())


def _later(seen: Seen, told: Told) -> datetime | None:
    return max(filter(None, (seen.free_at, told.free_at)), default=None)


BEATS_MISSED: Final = 3
"""Of a device that never said that it goes: its broker was killed, or holds the will back."""


def present(seen: Seen, at: datetime) -> Seen:
    """The device as it is to be taken at this instant: gone, if it was silent for too long."""
    if not seen.online or not seen.beat_s or seen.beat_at is None:
        return seen
    if (at - seen.beat_at).total_seconds() <= BEATS_MISSED * seen.beat_s:
        return seen
    return replace(seen, online=False, gone_at=seen.beat_at)
