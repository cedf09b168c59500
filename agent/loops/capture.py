"""The capture thread: it drains the camera, prepares each frame for the model, and keeps the freshest.

Preparation happens here, beside `invoke()`, which lets go of the interpreter lock: while the model
computes one frame, the next one becomes a tensor.
"""

from collections.abc import Callable
from dataclasses import dataclass
from threading import Event
from typing import Final

from agent.core.frames import Frame
from agent.loops.loading import Loaded
from agent.loops.slot import Latest
from agent.ports.camera import Camera
from agent.ports.clock import Clock
from agent.ports.runtime import Tensor
from agent.wire.errors import CameraFailed
from agent.wire.ipc import CameraBack, CameraLost

MS: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Ready:
    """A frame and the tensor made of it for this very model."""

    frame: Frame
    tensor: Tensor
    loaded: Loaded
    capture_ms: float
    pre_ms: float


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
    """`frames` counts what the camera gave, `dropped` what a fresher frame replaced before the model took
    it; both only grow and are read from other threads.
    """

    def __init__(
        self,
        camera: Camera,
        clock: Clock,
        slot: Latest[Ready],
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
        self.dropped = 0

    def prepare_for(self, loaded: Loaded) -> None:
        """The frames that come from now on are for this model."""
        self._loaded = loaded

    def stop(self) -> None:
        self._stopping.set()

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
        loaded = self._loaded
        if loaded is None:
            return
        replaced = self._slot.put(prepare(frame, loaded, self._clock))
        self.dropped += skipped + replaced

    def _lost(self, failure: CameraFailed) -> None:
        if self._lost_ns is None:
            self._lost_ns = self._clock.monotonic_ns()
            self._say(CameraLost(detail=str(failure)))

    def _back(self) -> None:
        assert self._lost_ns is not None
        lost_s = (self._clock.monotonic_ns() - self._lost_ns) / 1e9
        self._lost_ns, self._attempt = None, 0
        self._say(CameraBack(lost_s=lost_s))
