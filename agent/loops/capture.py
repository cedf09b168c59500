"""The capture and the prepare thread: from the camera to a tensor that waits for the model.

Preparation runs beside `invoke()`, which lets go of the interpreter lock: while the model computes one
frame, the next one becomes a tensor.
"""

from collections.abc import Callable
from threading import Event
from typing import Final

from agent.core.frames import Frame
from agent.loops.loading import Loaded
from agent.loops.slot import Ready, Slot
from agent.ports.camera import Camera
from agent.ports.clock import Clock
from agent.wire.errors import CameraFailed
from agent.wire.ipc import CameraBack, CameraLost

MS: Final = 1_000_000
IDLE_S: Final = 0.1


def prepare(frame: Frame, loaded: Loaded, clock: Clock) -> Ready:
    began_ns = clock.monotonic_ns()
    tensor = loaded.preparer.prepare(frame.pixels)
    return Ready(
        frame=frame,
        tensor=tensor,
        loaded=loaded,
        capture_ms=(began_ns - frame.captured_ns) / MS,
        pre_ms=(clock.monotonic_ns() - began_ns) / MS,
    )


class Capture:
    """`frames` counts what the camera gave; it only grows and is read from other threads."""

    def __init__(
        self,
        camera: Camera,
        clock: Clock,
        slot: Slot,
        say: Callable[[CameraLost | CameraBack], None],
        delay_s: Callable[[int], float],
    ) -> None:
        self._camera = camera
        self._clock = clock
        self._slot = slot
        self._say = say
        self._delay_s = delay_s
        self._stopping = Event()
        self._loaded: Loaded | None = None
        self._last_sequence: int | None = None
        self._lost_ns: int | None = None
        self._attempt = 0
        self.frames = 0

    def prepare_for(self, loaded: Loaded) -> None:
        """The frames that come from now on are for this model."""
        self._loaded = loaded

    def stop(self) -> None:
        self._stopping.set()
        self._slot.close()

    def prepare(self) -> None:
        """Make tensors of the frames that are due, until stopped."""
        while (frame := self._slot.due()) is not None:
            if self._loaded is not None:
                self._slot.bring(prepare(frame, self._loaded, self._clock))

    def run(self) -> None:
        """Drain the camera until stopped, opening it again whenever it is lost."""
        while not self._stopping.is_set():
            failure = self._drain()
            self._camera.close()
            if failure is not None:
                self._lost(failure)
                self._stopping.wait(self._delay_s(self._attempt))
                self._attempt += 1

    def _drain(self) -> CameraFailed | None:
        try:
            self._camera.open()
            self._last_sequence = None
            while not self._stopping.is_set():
                if self._camera.on_demand:
                    self._wait_wanted()
                self._take(self._camera.read())
        except CameraFailed as failure:
            return failure
        return None

    def _take(self, frame: Frame) -> None:
        if self._lost_ns is not None:
            self._back()
        skipped = 0 if self._last_sequence is None else max(0, frame.sequence - self._last_sequence - 1)
        self._last_sequence = frame.sequence
        self.frames += 1 + skipped
        if self._loaded is not None:
            self._slot.offer(frame, skipped=skipped)

    def _wait_wanted(self) -> None:
        """A camera that gives a frame whenever it is asked is asked only when one is needed."""
        while self._loaded is None and not self._stopping.is_set():
            self._stopping.wait(IDLE_S)
        self._slot.wait_wanted()

    def _lost(self, failure: CameraFailed) -> None:
        if self._lost_ns is None:
            self._lost_ns = self._clock.monotonic_ns()
            self._say(CameraLost(detail=str(failure)))

    def _back(self) -> None:
        assert self._lost_ns is not None
        lost_s = (self._clock.monotonic_ns() - self._lost_ns) / 1e9
        self._lost_ns, self._attempt = None, 0
        self._say(CameraBack(lost_s=lost_s))
