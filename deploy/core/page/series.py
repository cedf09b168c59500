"""What the page of the fleet is told of its measurements over time, as JSON.

Time is in columns, as charts want it: `at` holds the beginnings of the steps in seconds since 1970, and every
other tuple is as long; None where nothing was heard.
"""

from enum import StrEnum

from msgspec import Struct

from agent.wire.documents import Count, Instant
from agent.wire.reports import Percentiles, Telemetry

Column = tuple[float | None, ...]

NOTHING = "nothing"
REST = ""
"""The label, release or hardware class under which the less frequent ones are counted together."""


class LatencyLine(Struct, frozen=True, kw_only=True):
    """One release on one class of hardware, over the whole range and step by step, in milliseconds."""

    release: str
    """`name@version`; REST: of what has no name here."""
    hardware: str
    """The class and what computes there, as `rpi5/cpu`."""
    count: Count
    """Of durations."""
    whole: Percentiles
    """Read off the merged sketches of the range, never averaged."""
    p50: Column
    p95: Column
    p99: Column
    counts: tuple[Count, ...]


class Latency(Struct, frozen=True, kw_only=True):
    """`GET /api/series/latency?stage=invoke&since=…&until=…&release=…&hardware=…`."""

    stage: str
    since: Instant
    until: Instant
    step_s: int
    at: tuple[int, ...]
    lines: tuple[LatencyLine, ...]
    """By release and hardware class."""
    everything: LatencyLine | None = None
    """All lines merged, with empty `release` and `hardware`; None of nothing."""


class Drift(StrEnum):
    """What the population stability index says of a span against its reference."""

    TOO_FEW = "too-few"
    """Frames, here or in the reference."""
    STEADY = "steady"
    SHIFTING = "shifting"
    """From 0.1 on: look at what the cameras see."""
    DRIFTED = "drifted"
    """From 0.25 on: what the model sees is not what it saw."""


class Against(StrEnum):
    FIRST_DAY = "first-day"
    """Of the release in this fleet."""
    SAME_HOURS = "same-hours"
    """The same hours of that day: a night is held against a night."""
    TO_COME = "to-come"
    """That day is not over: it would be held against itself, so there is nothing yet."""
    GIVEN = "given"


class Reference(Struct, frozen=True, kw_only=True):
    since: Instant
    until: Instant
    kind: Against
    frames: Count


class LabelLine(Struct, frozen=True, kw_only=True):
    label: str
    """REST: all others."""
    whole: float
    """Its share of the range, in [0, 1]."""
    reference: float
    """Its share of the reference."""
    shares: Column


class Classes(Struct, frozen=True, kw_only=True):
    """`GET /api/series/classes?release=name@version&since=…&until=…`, with `from=…&to=…` another reference.

    `psi` and `psi_confidence` are population stability indices, of the best labels and of their scores.
    """

    release: str
    since: Instant
    until: Instant
    step_s: int
    at: tuple[int, ...]
    frames: tuple[Count, ...]
    labels: tuple[LabelLine, ...]
    """The most frequent first, REST last."""
    psi: Column
    drift: Drift
    psi_whole: float | None
    """Of the range; None of too few frames."""
    psi_noise: float | None
    """What as much of the very same kind exceeds once in a hundred times."""
    psi_confidence: float | None
    drift_confidence: Drift
    reference: Reference | None = None


class RunningLine(Struct, frozen=True, kw_only=True):
    release: str
    """`name@version`; NOTHING: of pipelines that run none; REST: all others."""
    counts: Column
    """Pipelines, online or not: at the end of each step."""


class RunningBy(Struct, frozen=True, kw_only=True):
    """`GET /api/series/running?since=…&until=…`: how many pipelines ran which release."""

    since: Instant
    until: Instant
    step_s: int
    at: tuple[int, ...]
    lines: tuple[RunningLine, ...]
    """The most frequent first, REST last."""


class DeviceSeries(Struct, frozen=True, kw_only=True):
    """`GET /api/series/devices/<id>?pipeline=main`: its newest windows, by the controller's clock."""

    device: str
    pipeline: str
    at: tuple[int, ...]
    fps: Column
    invoke_p50_ms: Column
    invoke_p95_ms: Column
    age_p95_ms: Column
    soc_c: Column
    errors: tuple[Count, ...]
    frames_dropped: tuple[Count, ...]
    throttled: tuple[bool, ...]
    last: Telemetry | None = None
    """The newest window whole."""


class SeriesNames(Struct, frozen=True, kw_only=True):
    """`GET /api/series`: of what there are series."""

    releases: tuple[str, ...]
    """The most lately heard first."""
    hardware: tuple[str, ...]
    stages: tuple[str, ...]
    since: Instant | None = None
    """The oldest that is kept."""


class Collected(Struct, frozen=True, kw_only=True):
    """How the collection itself fares, since its process started."""

    messages: Count = 0
    windows: Count = 0
    """Those that count."""
    repeated: Count = 0
    """That came a second time."""
    missing: Count = 0
    """That lie between two of a device that came: lost on the way, or while it was cut off for minutes."""
    refused: dict[str, Count] = {}
    """By a word for the reason."""
    overrun: Count = 0
    """That came faster than they could be read, and were lost."""
    unkept: Count = 0
    """Failed writes; what was to be written waits, up to its bound."""
    backlog: Count = 0
    devices: Count = 0
    bytes: Count = 0
    """Of the file."""
    why: str = ""
    """The newest reason why something was refused or could not be written."""
