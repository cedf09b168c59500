"""One telemetry window as it fills: every frame counts in it, whatever is published."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from agent.core.telemetry.answers import Answers
from agent.core.telemetry.latency import Sketch, percentiles
from agent.loops.telling.monitor import Told
from agent.loops.telling.pacer import Limit
from agent.ports.clock import Clock
from agent.wire.ipc import Predicted
from agent.wire.reports import CLASSES_OF_A_WINDOW, StageLatency, Telemetry, Vitals
from agent.wire.topics import Digest

STAGES: Final = ("capture", "pre", "invoke", "post", "publish", "age")


@dataclass(frozen=True, slots=True)
class Sources:
    """What a window tells besides; each answers at once."""

    rss: Callable[[], dict[str, int]]
    close_vitals: Callable[[], Told] = lambda: Told(Vitals(), throttled=False)
    limit: Callable[[], Limit] = Limit
    restarts: Callable[[], dict[str, int]] = dict
    throttled: Callable[[], bool] = bool
    """Whether the SoC took its clock down since this was last asked."""
    throttled_lately: Callable[[], bool] = bool
    """The same, asked at every reading of the sensors."""


@dataclass(frozen=True, slots=True)
class Measured:
    """What a window is of; None and empty where nothing serves."""

    digest: Digest | None = None
    model: str = ""
    version: str = ""
    delegate: str = ""
    hardware: str = ""


@dataclass(slots=True)
class _Totals:
    started_ns: int
    predictions: int = 0
    published: int = 0
    errors: int = 0
    frames: int = 0
    dropped: int = 0
    sketches: dict[str, Sketch] = field(default_factory=lambda: {stage: Sketch() for stage in STAGES})
    answers: Answers = field(default_factory=Answers)

    def measure(self, latency: StageLatency) -> None:
        sketches = self.sketches
        sketches["capture"].add(latency.capture)
        sketches["pre"].add(latency.pre)
        sketches["invoke"].add(latency.invoke)
        sketches["post"].add(latency.post)
        sketches["age"].add(latency.age)


class Meter:
    def __init__(self, clock: Clock, sources: Sources) -> None:
        self._clock, self._sources = clock, sources
        self._totals = _Totals(clock.monotonic_ns())
        self._counters = (0, 0)
        self.predictions = 0
        """Since the start."""

    def restarted(self) -> None:
        """A worker that starts anew counts from nothing."""
        self._counters = (0, 0)

    def predicted(self, seen: Predicted) -> None:
        frames, dropped = self._counters
        self._counters = (seen.frames, seen.frames_dropped)
        totals = self._totals
        totals.frames += max(0, seen.frames - frames)
        totals.dropped += max(0, seen.frames_dropped - dropped)
        totals.predictions += 1
        self.predictions += 1
        totals.measure(seen.latency_ms)
        totals.answers.add(seen)

    def published(self, took_ms: float) -> None:
        self._totals.published += 1
        self._totals.sketches["publish"].add(took_ms)

    def failed(self) -> None:
        self._totals.errors += 1

    @property
    def empty(self) -> bool:
        """Whether nothing was classified in this window, nor failed to be."""
        return not (self._totals.predictions or self._totals.errors)

    def close(self, measured: Measured) -> Telemetry:
        """What the window has to tell; the next one begins."""
        totals, now_ns = self._totals, self._clock.monotonic_ns()
        self._totals = _Totals(now_ns)
        span_s = (now_ns - totals.started_ns) / 1e9
        histograms = {stage: sketch.to_document() for stage, sketch in totals.sketches.items()}
        told, limit = self._sources.close_vitals(), self._sources.limit()
        return Telemetry(
            at=self._clock.now(),
            window_s=span_s,
            frames=totals.frames,
            frames_dropped=totals.dropped,
            predictions=totals.predictions,
            errors=totals.errors,
            fps=totals.predictions / span_s if span_s > 0 else 0.0,
            rss_bytes=self._sources.rss(),
            digest=measured.digest,
            histogram_ms=histograms,
            latency_ms={stage: percentiles(histogram) for stage, histogram in histograms.items()},
            published=totals.published,
            throttled=told.throttled,
            fps_max=None if limit.fps_max is None else round(limit.fps_max, 2),
            fps_max_reason=limit.reason,
            restarts=self._sources.restarts(),
            vitals=told.vitals,
            model=measured.model,
            version=measured.version,
            delegate=measured.delegate,
            hardware=measured.hardware,
            classes=totals.answers.classes(CLASSES_OF_A_WINDOW),
            confidence=totals.answers.confidence,
        )
