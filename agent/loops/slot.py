"""Where frames wait for the model: one raw, one prepared, both the freshest there is.

Three threads meet here. Capture offers frames; prepare asks which frame is due and brings its tensor; the
model's thread takes tensors. Preparing every frame of a fast camera would take a core away from a slow
model, so a frame is prepared when the model is about to be free, judged by how long it usually computes,
and once more if the model keeps a prepared one waiting while fresher ones arrive.
"""

from dataclasses import dataclass
from threading import Condition
from typing import Final

from agent.core.frames import Frame
from agent.loops.loading import Loaded
from agent.ports.clock import Clock
from agent.ports.runtime import Tensor

SLACK_NS: Final = 1_000_000
LEAD: Final = 2
"""A preparation begins this many times its usual length before the model is expected to be free."""
REFRESH: Final = 4
"""A prepared frame is replaced by a fresher one after this many times the length of a preparation, so that
replacing takes at most a fifth of a core."""
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
    """`dropped` counts the frames that a fresher one replaced before the model took them."""

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
        self._nudged = False
        self._closed = False
        self.dropped = 0

    def offer(self, frame: Frame, *, skipped: int = 0) -> None:
        """Leave a frame, without waiting. The camera itself has lost the skipped ones before it."""
        with self._changed:
            self.dropped += skipped + (self._raw is not None)
            self._raw = frame
            self._changed.notify_all()

    def wait_wanted(self) -> None:
        """Wait until no raw frame is left, so that an offer would not replace one."""
        with self._changed:
            self._changed.wait_for(lambda: self._raw is None or self._closed)

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
            self.dropped += self._ready is not None
            self._ready = ready
            self._ready_ns = self._clock.monotonic_ns()
            took_ns = ready.pre_ms * 1e6
            self._prepare_ns = max(took_ns, _towards(self._prepare_ns, took_ns))
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
            at_ns = self._ready_ns + REFRESH * self._prepare_ns
        elif self._busy_from_ns is None:
            return 0
        else:
            at_ns = self._busy_from_ns + self._usually_busy_ns - LEAD * self._prepare_ns - SLACK_NS
        return at_ns - self._clock.monotonic_ns()


def _towards(estimate_ns: float, seen_ns: float) -> float:
    return estimate_ns + (seen_ns - estimate_ns) * GAIN
