"""The capture and the prepare thread: from the camera to a tensor that waits for the model.

Preparation runs beside `invoke()`, which lets go of the interpreter lock: while the model computes one
frame, the next one becomes a tensor.
"""

import dataclasses
from collections.abc import Callable
from threading import Event
from typing import Final

from agent.core.camera.frames import Frame
from agent.core.camera.health import Limits
from agent.core.camera.pictures import Turns, turned
from agent.loops.child.loading import Loaded
from agent.loops.child.slot import Ready, Slot
from agent.loops.child.source import Source
from agent.ports.camera import Camera
from agent.ports.clock import Clock
from agent.wire.ipc import CameraTurned

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


@dataclasses.dataclass(frozen=True, slots=True)
class Taking:
    """How a camera is driven, and what is made of its frames."""

    delay_s: Callable[[int], float]
    """How long to wait before the nth attempt to open it again."""
    rate_fps: float = 0.0
    """What the camera was asked for; 0: as many as it likes."""
    every_nth: int = 1
    """One frame of so many is classified."""
    rotate_deg: Turns = 0
    limits: Limits | None = None


class Capture:
    """`frames` counts what the camera gave; it only grows and is read from other threads, as `newest` is."""

    def __init__(
        self,
        camera: Camera,
        clock: Clock,
        slot: Slot,
        say: Callable[[CameraTurned], None],
        taking: Taking,
    ) -> None:
        self._source = Source(
            camera, clock, say, taking.delay_s, rate_fps=taking.rate_fps, limits=taking.limits
        )
        self._clock = clock
        self._slot = slot
        self._taking = taking
        self._stopping = Event()
        self._loaded: Loaded | None = None
        self._unseen = taking.every_nth - 1
        """Frames since the last one that was offered."""
        self.frames = 0
        self.newest: Frame | None = None

    def prepare_for(self, loaded: Loaded) -> None:
        """The frames that come from now on are for this model."""
        self._loaded = loaded

    def stop(self) -> None:
        self._stopping.set()
        self._source.stop()
        self._slot.close()

    def watch(self) -> None:
        """Notice a driver that hangs; for another thread than the one in `run`."""
        self._source.watch()

    def prepare(self) -> None:
        """Make tensors of the frames that are due, until stopped."""
        while (frame := self._slot.due()) is not None:
            if self._loaded is not None:
                self._slot.bring(prepare(frame, self._loaded, self._clock))

    def run(self) -> None:
        """Drain the camera until stopped, opening it again whenever it is lost."""
        self._source.run(self._take, self._wait_wanted)

    def _take(self, frame: Frame, skipped: int) -> None:
        self.frames += 1 + skipped
        self._unseen += 1 + skipped
        due, self._unseen = divmod(self._unseen, self._taking.every_nth)
        if due == 0:
            return
        pixels = turned(frame.pixels, self._taking.rotate_deg)
        upright = frame if pixels is frame.pixels else dataclasses.replace(frame, pixels=pixels)
        self.newest = upright
        if self._loaded is not None:
            self._slot.offer(upright, skipped=due - 1)

    def _wait_wanted(self) -> None:
        """A camera that gives a frame whenever it is asked is asked only when one is needed."""
        while self._loaded is None and not self._stopping.is_set():
            self._stopping.wait(IDLE_S)
        self._slot.wait_wanted()
