"""What the page of a device is told, as JSON: `Now` once, then each `Happening` as it happens."""

from typing import Annotated, Final

from msgspec import Meta, Struct, field

from agent.wire.documents import Count, Instant
from agent.wire.reasons import IN_WORDS, Reason
from agent.wire.reports import Ended, Event, Ranked, Report, StageLatency, Telemetry
from agent.wire.topics import DeviceId, Digest

FRAMES_KEPT: Final = 600
"""Of each pipeline, for a page that is opened later: a minute at ten frames a second."""
WINDOWS_KEPT: Final = 360
"""Telemetry: an hour at ten seconds each."""
EVENTS_KEPT: Final = 200
ENDED_KEPT: Final = 50


class Broker(Struct, frozen=True, kw_only=True):
    up: bool
    place: str = ""
    since: Instant | None = None
    """When it came up or went away; None: it has not come up yet."""
    reason: str = ""
    """Why it is away."""


class Past(Struct, frozen=True, kw_only=True):
    """An update that has ended, and when."""

    at: Instant
    ended: Ended


class Offered(Struct, frozen=True, kw_only=True):
    """A release that waits until somebody on the device accepts it."""

    name: str
    version: str
    manifest: Digest


class Seen(Struct, frozen=True, kw_only=True, tag="frame"):
    """One classified frame, published or not."""

    pipeline: str
    at: Instant
    """Of capture."""
    sequence: Count
    frame: str = ""
    model: str
    version: str
    delegate: str
    predictions: tuple[Ranked, ...]
    latency_ms: StageLatency


class Told(Struct, frozen=True, kw_only=True, tag="report"):
    """The report is another one."""

    report: Report
    offered: Offered | None = None


class Measured(Struct, frozen=True, kw_only=True, tag="telemetry"):
    pipeline: str
    telemetry: Telemetry


class Happened(Struct, frozen=True, kw_only=True, tag="event"):
    pipeline: str
    event: Event


class Turned(Struct, frozen=True, kw_only=True, tag="broker"):
    broker: Broker


Happening = Seen | Told | Measured | Happened | Turned


class PipelineNow(Struct, frozen=True, kw_only=True):
    report: Report
    offered: Offered | None = None
    frames: tuple[Seen, ...] = ()
    """Oldest first, at most FRAMES_KEPT."""
    telemetry: tuple[Telemetry, ...] = ()
    """Oldest first, at most WINDOWS_KEPT."""
    past: tuple[Past, ...] = ()
    """Newest first, at most ENDED_KEPT."""


class Now(Struct, frozen=True, kw_only=True):
    at: Instant
    device: DeviceId
    agent: str
    broker: Broker | None
    """None: this device has none, as in `shoal-agent demo`."""
    window_s: Annotated[float, Meta(gt=0.0)]
    pipelines: dict[str, PipelineNow]
    events: tuple[Happened, ...] = ()
    """Newest first, at most EVENTS_KEPT."""
    may: tuple[str, ...] = ()
    """What whoever asks may do: `accept`, `pause`, `resume`, `sign-out`."""
    reasons: dict[Reason, str] = field(default_factory=IN_WORDS.copy)
    """What each reason means: a page is of the agent's own version, and keeps no words of its own."""
