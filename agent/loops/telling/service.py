"""What becomes of the worker's predictions: published, measured, and weighed as evidence."""

import asyncio
import logging
from collections.abc import Callable

from agent.core.telemetry.emission import Emission, Rules
from agent.core.telemetry.evidence import Gathering
from agent.core.telemetry.vitals import Gauges
from agent.core.update import lifecycle, probation
from agent.core.update.lifecycle import Event, Probation, Record
from agent.core.update.probation import Baseline, Window
from agent.loops.telling.meter import Measured, Meter, Sources
from agent.loops.telling.reporter import Reporter
from agent.ports.children import Observation
from agent.ports.clock import Clock
from agent.wire.ipc import CameraTurned, InvokeFailed, Predicted
from agent.wire.reasons import Reason
from agent.wire.reports import Evidence, Prediction
from agent.wire.topics import Digest

log = logging.getLogger(__name__)


class Service:
    """Listens to the worker. Its methods run on the event loop; only `publish` reaches further."""

    def __init__(
        self, reporter: Reporter, clock: Clock, sources: Sources, window_s: float, rules: Rules | None = None
    ) -> None:
        self._reporter, self._clock, self._window_s = reporter, clock, window_s
        self._emission = Emission(rules or Rules())
        self._meter = Meter(clock, sources)
        self._throttled, self._throttled_lately = sources.throttled, sources.throttled_lately
        self._record = Record()
        self._window = Window()
        self._settled = Window()
        """The last full window of what runs."""
        self._baseline: Baseline | None = None
        self._gathering: Gathering | None = None
        self._suspended = False
        self._feed: Callable[[Event], None] = lambda _: None
        reporter.show(self.evidence)

    def bind(self, feed: Callable[[Event], None]) -> None:
        """Where evidence goes."""
        self._feed = feed

    def configure(self, window_s: float, rules: Rules) -> None:
        """From now on; the window that is open ends as it began."""
        self._window_s = window_s
        self._emission.configure(rules)

    def follow(self, record: Record) -> None:
        """What ran until now is what a release that enters probation is measured against, and its window of
        telemetry ends here: no window is of two releases.
        """
        if record.state.active != self._record.state.active:
            if not self._meter.empty:
                self.tell()
            if isinstance(record.state, Probation):
                enough = self._window.frames >= record.probation.window_frames
                before = self._window if enough else self._settled
                self._baseline = probation.baseline(before) if lifecycle.witness(self._record) else None
            self._window = self._settled = Window()
            self._gather(record.state.active)
        self._record = record

    def _gather(self, active: lifecycle.Fitted | None) -> None:
        """Anew for what serves from now on."""
        self._gathering = None if active is None else Gathering(active.manifest, active.variant)

    def evidence(self) -> Evidence | None:
        """What the active release has shown since it was activated, or since the agent started."""
        if self._gathering is None:
            return None
        handover = self._record.handover
        if handover is None or handover.manifest != self._gathering.manifest:
            return self._gathering.to_document()
        return self._gathering.to_document(
            shadow_frames=handover.shadow_frames, agreed_frames=handover.agreed_frames
        )

    def look(self, gauges: Gauges) -> None:
        """A reading of the host's sensors."""
        throttled = self._throttled_lately()
        if self._gathering is not None:
            self._gathering.look(gauges.soc_c, throttled=throttled)

    def observe(self, seen: Observation) -> None:
        match seen:
            case Predicted():
                self._predicted(seen)
            case InvokeFailed(sequence=sequence, detail=detail):
                log.warning("invoke.failed", extra={"sequence": sequence, "detail": detail})
                self._meter.failed()
                self._weigh(seen)
            case CameraTurned():
                self._reporter.camera(seen)

    def crashed(self, restarts: int, detail: str, *, blamed: bool = True) -> None:
        """Law 2: a worker that dies while a release is on probation counts against that release, unless it is
        not to blame.
        """
        log.warning("worker.crashed", extra={"detail": detail, "restarts": restarts})
        self._meter.restarted()
        self._reporter.crashed(restarts, detail)
        if blamed:
            if self._gathering is not None:
                self._gathering.restarted()
            self.blame(Reason.WORKER_CRASHED, detail)

    def blame(self, reason: Reason, detail: str) -> None:
        """Something that ends a release on probation."""
        state = self._record.state
        if isinstance(state, Probation):
            self._feed(lifecycle.Sick(state.active.manifest, reason, detail))

    def suspend(self) -> None:
        """What is seen from now on says nothing of the release: something stands in for its model."""
        self._suspended = True
        self._window = Window()

    def resume(self) -> None:
        self._suspended = False

    async def run(self) -> None:
        """A telemetry document every window, and one for the last bit of a window."""
        try:
            while True:
                await asyncio.sleep(self._window_s)
                self.tell()
        finally:
            self.tell()

    def tell(self) -> None:
        self._reporter.measured(self._meter.close(self._measured()))

    def _measured(self) -> Measured:
        active, reporter = self._record.state.active, self._reporter
        if active is None:
            return Measured(hardware=reporter.hardware)
        return Measured(
            active.variant, active.name, active.version, reporter.delegate(active.manifest), reporter.hardware
        )

    @property
    def predictions(self) -> int:
        """Frames classified since the start."""
        return self._meter.predictions

    def _predicted(self, seen: Predicted) -> None:
        self._meter.predicted(seen)
        release = self._release(seen.manifest)
        if release is not None:
            self._reporter.saw(seen, release)
            self._emit(seen, release)
        self._weigh(seen)

    def _emit(self, seen: Predicted, release: lifecycle.Fitted) -> None:
        began_ns = self._clock.monotonic_ns()
        ranked = self._emission.judge(seen, began_ns)
        if ranked is None:
            return
        self._reporter.predict(
            Prediction(
                at=seen.captured_at,
                sequence=seen.sequence,
                frame=seen.frame,
                model=release.name,
                version=release.version,
                digest=self._reporter.digest(release),
                delegate=self._reporter.delegate(seen.manifest),
                predictions=ranked,
                latency_ms=seen.latency_ms,
            )
        )
        self._meter.published((self._clock.monotonic_ns() - began_ns) / 1e6)

    def _release(self, manifest: Digest) -> lifecycle.Fitted | None:
        """The slot that this prediction came from; the worker may be a frame behind a switch."""
        state = self._record.state
        return next(
            (s for s in (state.active, state.fallback) if s is not None and s.manifest == manifest), None
        )

    def _weigh(self, seen: Predicted | InvokeFailed) -> None:
        """Evidence for the release on probation, or the measure for the next one.

        A window that was slow while the SoC took its clock down says nothing of the model; nor does it say
        that it is well.
        """
        active = self._record.state.active
        if self._suspended or active is None or seen.manifest != active.manifest:
            return
        self._show(seen)
        self._window = probation.observe(self._window, seen)
        policy = self._record.probation
        if not isinstance(self._record.state, Probation):
            if self._window.frames >= policy.window_frames:
                self._settled, self._window = self._window, Window()
            return
        verdict = probation.verdict(self._window, self._baseline, policy)
        throttled = verdict is not probation.UNDECIDED and self._throttled()
        match verdict:
            case probation.UNDECIDED:
                return
            case probation.Sick(Reason.SLOWED_DOWN, detail) if throttled:
                log.info("evidence.throttled", extra={"detail": detail})
            case probation.HEALTHY:
                self._feed(lifecycle.Healthy(active.manifest))
            case probation.Sick(reason, detail):
                self._feed(lifecycle.Sick(active.manifest, reason, detail))
        self._window = Window()

    def _show(self, seen: Predicted | InvokeFailed) -> None:
        gathering = self._gathering
        if gathering is None:
            return
        if isinstance(seen, Predicted):
            gathering.predicted(seen)
        else:
            gathering.failed()
