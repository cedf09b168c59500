"""What becomes of the worker's predictions: published, measured, and weighed as evidence."""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, field

from agent.core import lifecycle, probation
from agent.core.latency import Sketch, percentiles
from agent.core.lifecycle import Event, Probation, Record
from agent.core.probation import Baseline, Window
from agent.loops.reporter import Reporter
from agent.ports.children import Observation
from agent.ports.clock import Clock
from agent.wire import topics
from agent.wire.ipc import CameraBack, CameraLost, InvokeFailed, Predicted
from agent.wire.reasons import Reason
from agent.wire.reports import Prediction, StageLatency, Telemetry
from agent.wire.topics import Digest

log = logging.getLogger(__name__)

STAGES = ("capture", "pre", "invoke", "post", "publish", "age")

Rss = Callable[[], dict[str, int]]


@dataclass(slots=True)
class _Totals:
    """One telemetry window as it fills."""

    started_ns: int
    predictions: int = 0
    errors: int = 0
    frames: int = 0
    dropped: int = 0
    sketches: dict[str, Sketch] = field(default_factory=lambda: {stage: Sketch() for stage in STAGES})

    def measure(self, latency: StageLatency) -> None:
        for stage in ("capture", "pre", "invoke", "post", "age"):
            self.sketches[stage].add(getattr(latency, stage))


class Service:
    """Listens to the worker. Its methods run on the event loop; only `publish` reaches further."""

    def __init__(self, reporter: Reporter, clock: Clock, rss: Rss, window_s: float) -> None:
        self._reporter, self._clock, self._rss, self._window_s = reporter, clock, rss, window_s
        self._record = Record()
        self._totals = _Totals(clock.monotonic_ns())
        self._counters = (0, 0)
        self._window = Window()
        self._settled = Window()
        """The last full window of what runs."""
        self._baseline: Baseline | None = None
        self._feed: Callable[[Event], None] = lambda _: None

    def bind(self, feed: Callable[[Event], None]) -> None:
        """Where evidence goes."""
        self._feed = feed

    def follow(self, record: Record) -> None:
        """What ran until now is what a release that enters probation is measured against."""
        if record.state.active != self._record.state.active:
            if isinstance(record.state, Probation):
                enough = self._window.frames >= record.probation.window_frames
                self._baseline = probation.baseline(self._window if enough else self._settled)
            self._window = self._settled = Window()
        self._record = record

    def observe(self, seen: Observation) -> None:
        match seen:
            case Predicted():
                self._predicted(seen)
            case InvokeFailed(sequence=sequence, detail=detail):
                log.warning("invoke.failed", extra={"sequence": sequence, "detail": detail})
                self._totals.errors += 1
                self._weigh(seen)
            case CameraLost(detail=detail):
                log.warning("camera.lost", extra={"detail": detail})
                self._reporter.event("camera.lost", {"detail": detail})
            case CameraBack(lost_s=lost_s):
                log.info("camera.back", extra={"lost_s": round(lost_s, 1)})
                self._reporter.event("camera.back", {"lost_s": round(lost_s, 1)})

    def crashed(self, restarts: int, detail: str) -> None:
        """Law 2: a worker that dies while a release is on probation counts against that release."""
        log.warning("worker.crashed", extra={"detail": detail, "restarts": restarts})
        self._counters = (0, 0)
        self._reporter.crashed(restarts, detail)
        state = self._record.state
        if isinstance(state, Probation):
            self._feed(lifecycle.Sick(state.active.manifest, Reason.WORKER_CRASHED, detail))

    async def run(self) -> None:
        """A telemetry document every window, and one for the last bit of a window."""
        try:
            while True:
                await asyncio.sleep(self._window_s)
                self.tell()
        finally:
            self.tell()

    def tell(self) -> None:
        totals, now_ns = self._totals, self._clock.monotonic_ns()
        self._totals = _Totals(now_ns)
        span_s = (now_ns - totals.started_ns) / 1e9
        histograms = {stage: sketch.to_document() for stage, sketch in totals.sketches.items()}
        active = self._record.state.active
        self._reporter.send(
            topics.TELEMETRY,
            Telemetry(
                at=self._clock.now(),
                window_s=span_s,
                frames=totals.frames,
                frames_dropped=totals.dropped,
                predictions=totals.predictions,
                errors=totals.errors,
                fps=totals.predictions / span_s if span_s > 0 else 0.0,
                rss_bytes=self._rss(),
                digest=None if active is None else active.variant,
                histogram_ms=histograms,
                latency_ms={stage: percentiles(histogram) for stage, histogram in histograms.items()},
            ),
        )

    def _predicted(self, seen: Predicted) -> None:
        began_ns = self._clock.monotonic_ns()
        self._publish(seen)
        self._count(seen)
        self._totals.sketches["publish"].add((self._clock.monotonic_ns() - began_ns) / 1e6)
        self._weigh(seen)

    def _publish(self, seen: Predicted) -> None:
        release = self._release(seen.manifest)
        if release is None:
            return
        self._reporter.send(
            topics.PREDICTION,
            Prediction(
                at=seen.captured_at,
                sequence=seen.sequence,
                frame=seen.frame,
                model=release.name,
                version=release.version,
                digest=release.variant,
                delegate=self._reporter.delegate(seen.manifest),
                predictions=seen.predictions,
                latency_ms=seen.latency_ms,
            ),
        )

    def _release(self, manifest: Digest) -> lifecycle.Fitted | None:
        """The slot that this prediction came from; the worker may be a frame behind a switch."""
        state = self._record.state
        return next(
            (s for s in (state.active, state.fallback) if s is not None and s.manifest == manifest), None
        )

    def _count(self, seen: Predicted) -> None:
        frames, dropped = self._counters
        self._counters = (seen.frames, seen.frames_dropped)
        self._totals.frames += max(0, seen.frames - frames)
        self._totals.dropped += max(0, seen.frames_dropped - dropped)
        self._totals.predictions += 1
        self._totals.measure(seen.latency_ms)

    def _weigh(self, seen: Predicted | InvokeFailed) -> None:
        """Evidence for the release on probation, or the measure for the next one."""
        active = self._record.state.active
        if active is None or seen.manifest != active.manifest:
            return
        self._window = probation.observe(self._window, seen)
        policy = self._record.probation
        if not isinstance(self._record.state, Probation):
            if self._window.frames >= policy.window_frames:
                self._settled, self._window = self._window, Window()
            return
        match probation.verdict(self._window, self._baseline, policy):
            case probation.UNDECIDED:
                return
            case probation.HEALTHY:
                self._feed(lifecycle.Healthy(active.manifest))
            case probation.Sick(reason, detail):
                self._feed(lifecycle.Sick(active.manifest, reason, detail))
        self._window = Window()
