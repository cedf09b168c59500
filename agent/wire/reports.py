"""What devices tell, as frozen values; the rules are those of `documents`."""

from enum import StrEnum
from typing import Annotated

from msgspec import Meta, Struct, field

from agent.wire.documents import Count, Document, Instant
from agent.wire.reasons import Reason
from agent.wire.topics import DeviceId, Digest


class Presence(StrEnum):
    ONLINE = "online"
    OFFLINE = "offline"


class Status(Document, frozen=True, kw_only=True):
    """Retained, and the last will."""

    state: Presence
    session: str
    boot: Count = 0
    """Of the agent, over the life of the device."""
    at: Instant | None = None
    """When it was said, by the device's clock. None: it is the last will."""
    beat_s: Annotated[float, Meta(ge=0.0)] = 0.0
    """It is said again at least so often while it holds; 0: once. A broker that is killed speaks no will."""
    broker: str = ""
    """As the device calls the one that it is on: host and port."""
    goodbye: bool = False
    """Offline, because it was told to stop: what a last will never says, nor an agent that failed."""


class Phase(StrEnum):
    IDLE = "idle"
    HELD = "held"
    FETCHING = "fetching"
    TRIAL = "trial"
    PROBATION = "probation"


class Outcome(StrEnum):
    COMMITTED = "committed"
    REFUSED = "refused"
    REVERTED = "reverted"


class Running(Struct, frozen=True, kw_only=True):
    name: str
    version: str
    manifest: Digest
    digest: Digest
    delegate: str = ""
    delegate_reason: str = ""
    runtime: str = ""


class Progress(Struct, frozen=True, kw_only=True):
    name: str
    version: str
    manifest: Digest
    bytes_done: Count = 0
    bytes_total: Count = 0


class Ended(Struct, frozen=True, kw_only=True):
    """How the last update ended."""

    name: str
    version: str
    manifest: Digest
    outcome: Outcome
    reason: Reason | None = None
    detail: str = ""


class Capabilities(Struct, frozen=True, kw_only=True):
    hardware: str = "cpu"
    machine: str = ""
    python: str = ""
    runtime: str = ""
    agent: str = ""
    edgetpu: tuple[str, ...] = ()
    """The Edge TPUs there are, as `usb:0` or `pci:0`."""
    tags: tuple[str, ...] = ()


class CameraState(StrEnum):
    OPENING = "opening"
    LIVE = "live"
    LOST = "lost"
    """Unplugged, or never there."""
    BUSY = "busy"
    """Another process has it."""
    FROZEN = "frozen"
    """It gives the very same frame again and again, or none at all."""
    BLACK = "black"
    SLOW = "slow"
    """Far fewer frames than it was asked for."""


CAMERA_OUT = frozenset({CameraState.OPENING, CameraState.LOST, CameraState.BUSY, CameraState.FROZEN})
"""No frame is to be expected."""


class CameraReport(Struct, frozen=True, kw_only=True):
    state: CameraState
    kind: str = ""
    """What `auto` took."""
    detail: str = ""


Bin = Annotated[int, Meta(ge=-(2**53), le=2**53)]


class Histogram(Struct, frozen=True, kw_only=True):
    """A DDSketch: bin `k` counts values in (gamma^(k-1), gamma^k], gamma = (1+a)/(1-a).

    Two with the same accuracy are merged by adding their bins: percentiles are never averaged.
    Source: Masson, Rim, Lee: DDSketch, VLDB 2019.
    """

    relative_accuracy: Annotated[float, Meta(gt=0.0, lt=1.0)]
    count: Count
    zeros: Count
    sum: float
    min: float
    max: float
    bins: dict[Bin, Count]


BINS = 20
"""Of a histogram of scores in [0, 1]."""
CLASSES_TOLD = 64
"""In a report."""
CLASSES_OF_A_WINDOW = 16
"""In telemetry."""
RETOLD_UNDER_WAY_S = 60.0
"""How often a report is told anew, though nothing is new in it, while an update is under way."""
RETOLD_SETTLED_S = 600.0
"""At any other time: a report is retained, and a broker may keep it on a card."""


class Evidence(Struct, frozen=True, kw_only=True):
    """What one release has shown on this device since it was activated, on live frames."""

    manifest: Digest
    digest: Digest
    frames: Count = 0
    """Those that failed are among them."""
    errors: Count = 0
    restarts: Count = 0
    """Of the worker, that this release is blamed for."""
    invoke_ms: Histogram | None = None
    confidence: tuple[Count, ...] = ()
    """Best scores as probabilities, in BINS equal bins over [0, 1]. Empty: the scores are none."""
    classes: dict[str, Count] = field(default_factory=dict)
    """Best labels, the CLASSES_TOLD most frequent; the rest under the empty name."""
    shadow_frames: Count = 0
    agreed_frames: Count = 0
    """In its trial: frames on which the model before it was sure of a label that this one knows too, and on
    how many both named the same."""
    soc_c_max: float | None = None
    throttled: bool = False
    """The SoC held its clock down for a time; the frames of that time are not in `invoke_ms`."""


class Report(Document, frozen=True, kw_only=True):
    """What a device runs and why, retained."""

    device: DeviceId
    at: Instant
    phase: Phase
    reason: Reason | None = None
    detail: str = ""
    active: Running | None = None
    candidate: Progress | None = None
    last: Ended | None = None
    plan_serial: Annotated[int, Meta(ge=-1, le=2**53)] = -1
    """-1: it has seen none."""
    worker_restarts: Count = 0
    known_bad: dict[str, Reason] = field(default_factory=dict)
    capabilities: Capabilities = Capabilities()
    pipeline: str = "main"
    stream: str = ""
    """Whose plans it follows."""
    degraded: str = ""
    """In words, why less serves than the release promises: the CPU for a lost Edge TPU, say; else empty."""
    camera: CameraReport | None = None
    paused: bool = False
    serving: Evidence | None = None
    """Of the active release; told anew every RETOLD_UNDER_WAY_S while it is on probation."""
    before: Evidence | None = None
    """Of the release that it took over from, as it stood then."""
    boot: Count = 0
    number: Count = 0
    """Counts up within a boot. A lower pair (boot, number) than one seen before is a replay."""


Milliseconds = Annotated[float, Meta(ge=-1e12, le=1e12)]
"""No infinity and no NaN, which JSON cannot say and no sum survives."""
Score = Annotated[float, Meta(ge=-3.5e38, le=3.5e38)]
"""As far as float32 goes."""


class Ranked(Struct, frozen=True, kw_only=True):
    index: int
    label: Annotated[str, Meta(max_length=16_384)]
    score: Score


class StageLatency(Struct, frozen=True, kw_only=True):
    """Milliseconds. `capture` is the age of the frame when its preparation began; `age` is the age of
    the frame when its prediction was complete.
    """

    capture: Milliseconds
    pre: Milliseconds
    invoke: Milliseconds
    post: Milliseconds
    age: Milliseconds


class Prediction(Document, frozen=True, kw_only=True):
    at: Instant
    """Instant of capture."""
    sequence: Count
    frame: str = ""
    """What the camera calls the frame (a file name, where there is one)."""
    model: str
    version: str
    digest: Digest
    delegate: str
    predictions: tuple[Ranked, ...]
    """Best first; averaged where emission smooths, empty where nothing reaches its floor."""
    latency_ms: StageLatency
    session: str = ""
    number: Count = 0
    """As in `Event`, where predictions are kept for a broker that is away. 0: said once, then and there."""


class Percentiles(Struct, frozen=True, kw_only=True):
    p50: float
    p95: float
    p99: float


class Throttling(Struct, frozen=True, kw_only=True):
    """What the firmware of a Raspberry Pi says of its power and heat.

    Source: Raspberry Pi documentation, `vcgencmd get_throttled`, bits 0 to 3; since boot, bits 16 to 19.
    """

    under_voltage: bool = False
    frequency_capped: bool = False
    throttled: bool = False
    soft_limit: bool = False


class Vitals(Struct, frozen=True, kw_only=True):
    """How the host fares. None: this host does not tell."""

    soc_c: float | None = None
    tpu_c: float | None = None
    now: Throttling | None = None
    since_boot: Throttling | None = None
    cpu_share: float | None = None
    """Of all cores together, over the window."""
    memory_available_bytes: Count | None = None
    disk_free_bytes: Count | None = None
    outbox_messages: Count = 0
    outbox_dropped: Count = 0
    """Since the agent started."""
    broker_ms: float | None = None
    """A round trip to the broker."""
    clock_synchronized: bool = False


class Telemetry(Document, frozen=True, kw_only=True):
    """One window."""

    at: Instant
    window_s: float
    frames: Count
    frames_dropped: Count
    predictions: Count
    errors: Count
    fps: float
    rss_bytes: dict[str, int]
    """By process: `supervisor`, `worker`."""
    digest: Digest | None
    """Of the variant that was measured; a window ends where another release takes over."""
    histogram_ms: dict[str, Histogram]
    """By stage: `capture`, `pre`, `invoke`, `post`, `publish`, `age`."""
    latency_ms: dict[str, Percentiles]
    """The same, read off the histograms, for people and dashboards."""
    published: Count = 0
    """Predictions that passed the rules of emission."""
    throttled: bool = False
    """The SoC throttled within this window: its latencies say more of the heat than of the model."""
    fps_max: float | None = None
    """The rate that classification is held down to, where it is."""
    fps_max_reason: str = ""
    restarts: dict[str, Count] = field(default_factory=dict)
    """Of the worker since the agent started, by cause: `crashed`, `hung`, `edgetpu`, ..."""
    vitals: Vitals | None = None
    model: str = ""
    version: str = ""
    delegate: str = ""
    """As `Running` has them."""
    hardware: str = ""
    """As `Capabilities` has it."""
    classes: dict[str, Count] = field(default_factory=dict)
    """Best labels, the CLASSES_OF_A_WINDOW most frequent; the rest under the empty name."""
    confidence: tuple[Count, ...] = ()
    """Best scores, as in `Evidence`."""


class Event(Document, frozen=True, kw_only=True):
    """Arrives once or more, in order: a repeat has the session and number of one that was there."""

    at: Instant
    name: str
    fields: dict[str, str | int | float] = field(default_factory=dict)
    session: str = ""
    """Of the agent, as in `Status`."""
    number: Count = 0
    """Counts up within the session, over all that it keeps. 0: of no order."""
