"""Where frames wait for the model: one raw, one prepared, both the freshest there is.

Three threads meet here. Capture offers frames; prepare asks which frame is due and brings its tensor; the
model's thread takes tensors. Preparing every frame of a fast camera would take a core away from a slow
model, so a frame is prepared when the model is about to be free, judged by how long it usually computes,
and once more if the model keeps a prepared one waiting while fresher ones arrive.

Under a rate limit the first frame that comes once the next may be classified is the next; the ones before
it are dropped, and a camera on demand is not read. So what is classified is as fresh as without a limit.
"""

from dataclasses import dataclass
from threading import Condition
from typing import Final

from agent.core.camera.frames import Frame
from agent.core.camera.pace import Gate
from agent.loops.child.loading import Loaded
from agent.ports.clock import Clock
from agent.ports.runtime import Tensor

SLACK_NS: Final = 1_000_000
LEAD: Final = 2
"""A preparation begins this many times its usual length before the model is expected to be free."""
REFRESH: Final = 4
"""A prepared frame is replaced by a fresher one after this many times the length of an undisturbed
preparation, so that replacing takes at most a fifth of a core."""
GAIN: Final = 1 / 8


@dataclass(frozen=True, slots=True)
class Ready:
    """A frame and the tensor made of it for this very model."""

    frame: Frame
    tensor: Tensor
    loaded: Loaded
    capture_ms: float
    pre_ms: float


class Slot:
    """`dropped` counts the frames that the model did not get: a fresher one replaced them, or a pause."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._changed = Condition()
        self._raw: Frame | None = None
        self._ready: Ready | None = None
        self._ready_ns = 0
        self._busy_from_ns: int | None = None
        """When the model's thread took its last tensor; None while it waits for the next."""
        self._usually_busy_ns = 0.0
        self._prepare_ns = 0.0
        self._undisturbed_ns = 0.0
        """A preparation that waited for a core took no more of one, and must not make frames older yet."""
        self._gate = Gate(None, clock.monotonic_ns())
        self._nudged = False
        self._closed = False
        self.dropped = 0

    def offer(self, frame: Frame, *, skipped: int = 0) -> None:
        """Leave a frame, without waiting. The camera itself has lost the skipped ones before it."""
        with self._changed:
            self.dropped += skipped
            if not self._gate.open(self._clock.monotonic_ns()):
                self.dropped += 1
                return
            self.dropped += self._raw is not None
            self._raw = frame
            self._changed.notify_all()

    def pace(self, fps_max: float | None) -> None:
        """Let the model have at most this many frames a second; None: all it can take, 0: none.

        What waits when a pause begins or ends is dropped: it would be stale.
        """
        with self._changed:
            paused = self._gate.shut
            self._gate = Gate(fps_max, self._clock.monotonic_ns())
            if paused or self._gate.shut:
                self.dropped += (self._raw is not None) + (self._ready is not None)
                self._raw = self._ready = None
            self._changed.notify_all()

    def wait_wanted(self) -> None:
        """Wait until the rate allows a frame, and no raw one is left that an offer would replace."""
        with self._changed:
            while not self._closed:
                in_ns = None if self._raw is not None else self._opens_in_ns()
                if in_ns is not None and in_ns <= 0:
                    return
                self._changed.wait(None if in_ns is None else in_ns / 1e9)

    def due(self) -> Frame | None:
        """Wait until a frame should be prepared, and take it; None once closed."""
        with self._changed:
            while not self._closed:
                in_ns = self._due_in_ns()
                if in_ns is not None and in_ns <= 0:
                    frame, self._raw = self._raw, None
                    self._changed.notify_all()
                    return frame
                self._changed.wait(None if in_ns is None else in_ns / 1e9)
            return None

    def bring(self, ready: Ready) -> None:
        """Leave what was made of the frame that was due."""
        with self._changed:
            if self._gate.shut:
                self.dropped += 1
                return
            self.dropped += self._ready is not None
            self._ready = ready
            self._ready_ns = self._clock.monotonic_ns()
            took_ns = ready.pre_ms * 1e6
            self._prepare_ns = max(took_ns, _towards(self._prepare_ns, took_ns))
            undisturbed_ns = self._undisturbed_ns
            self._undisturbed_ns = min(took_ns, _towards(undisturbed_ns or took_ns, took_ns))
            self._changed.notify_all()

    def take(self, timeout_s: float) -> Ready | None:
        """Wait for a tensor; None after the time, or a nudge. The model is busy until the next call."""
        with self._changed:
            self._rest()
            self._changed.wait_for(lambda: self._ready or self._nudged or self._closed, timeout_s)
            ready, self._ready = self._ready, None
            self._nudged = False
            if ready is not None:
                self._busy_from_ns = self._clock.monotonic_ns()
                self._pass(self._busy_from_ns)
                self._changed.notify_all()
            return ready

    def nudge(self) -> None:
        """Make one `take` return at once, with what there is."""
        with self._changed:
            self._nudged = True
            self._changed.notify_all()

    def close(self) -> None:
        """Let everybody go who waits here."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _pass(self, now_ns: int) -> None:
        """A frame that came beside the one that passes would be stale when the next may."""
        self._gate.passed(now_ns)
        if not self._gate.open(now_ns):
            self.dropped += self._raw is not None
            self._raw = None

    def _rest(self) -> None:
        if self._busy_from_ns is None:
            return
        # The shorter estimate at once, the longer one slowly: too early costs less than too late.
        busy_ns = self._clock.monotonic_ns() - self._busy_from_ns
        self._usually_busy_ns = min(busy_ns, _towards(self._usually_busy_ns, busy_ns))
        self._busy_from_ns = None
        self._changed.notify_all()

    def _due_in_ns(self) -> float | None:
        if self._raw is None:
            return None
        if self._ready is not None:
            at_ns = self._ready_ns + REFRESH * self._undisturbed_ns
        elif self._busy_from_ns is None:
            return 0
        else:
            at_ns = self._busy_from_ns + self._usually_busy_ns - LEAD * self._prepare_ns - SLACK_NS
        return at_ns - self._clock.monotonic_ns()

    def _opens_in_ns(self) -> float | None:
        """How long the rate still holds frames back; None: until it is changed."""
        return None if self._gate.shut else max(0, self._gate.opens_ns - self._clock.monotonic_ns())


def _towards(estimate_ns: float, seen_ns: float) -> float:
    return estimate_ns + (seen_ns - estimate_ns) * GAIN
