"""A camera that is kept running: opened again with backoff whenever it fails, and judged all the while."""

from collections.abc import Callable
from threading import Event, Lock
from typing import TypeVar

from agent.core.camera.frames import Frame
from agent.core.camera.health import Health, Limits, Turn, silent_after_s
from agent.core.camera.pictures import glance
from agent.ports.camera import Camera
from agent.ports.clock import Clock
from agent.wire.errors import CameraBusy, CameraFailed, CameraFrozen
from agent.wire.ipc import CameraTurned
from agent.wire.reports import CameraState

T = TypeVar("T")


class Source:
    """`run` belongs to the thread that drives the camera, `watch` to another one."""

    def __init__(
        self,
        camera: Camera,
        clock: Clock,
        say: Callable[[CameraTurned], None],
        delay_s: Callable[[int], float],
        *,
        rate_fps: float = 0.0,
        limits: Limits | None = None,
    ) -> None:
        """
        Args:
            camera: nobody else uses it.
            clock: for durations.
            say: told of each change of its state, by either thread.
            delay_s: how long to wait before the nth attempt to open it again.
            rate_fps: what the camera was asked for; 0: as many as it likes.
            limits: when it is judged to be what.
        """
        self._camera, self._clock, self._say, self._delay_s = camera, clock, say, delay_s
        self._limits = limits or Limits()
        self._health = Health(rate_fps, self._limits, clock.monotonic_ns())
        self._silent_ns = silent_after_s(rate_fps, self._limits) * 1e9
        self._judging = Lock()
        self._stopping = Event()
        self._under_way: tuple[int, float] | None = None
        """Since when the thread is inside the camera, and how long that may take, in nanoseconds."""
        self._stuck = False
        self._last_sequence: int | None = None
        self._attempt = 0

    def stop(self) -> None:
        self._stopping.set()

    def run(self, take: Callable[[Frame, int], None], wanted: Callable[[], None]) -> None:
        """Drain the camera until stopped.

        Args:
            take: given each frame, with the number of frames that the camera gave and nobody read before it.
            wanted: waits until a frame of a camera on demand is needed.
        """
        self._say(CameraTurned(state=CameraState.OPENING, kind=self._camera.kind))
        while not self._stopping.is_set():
            failure = self._drain(take, wanted)
            self._timed(self._camera.close, self._limits.opening_s * 1e9)
            if failure is not None:
                self._failed(failure)
                self._stopping.wait(self._delay_s(self._attempt))
                self._attempt += 1

    def watch(self) -> None:
        """Notice a driver that does not return. Costs nothing; call it every second or so."""
        under_way = self._under_way
        if under_way is None or self._stuck:
            return
        now_ns, (since_ns, may_take_ns) = self._clock.monotonic_ns(), under_way
        if now_ns - since_ns < may_take_ns:
            return
        self._stuck = True
        detail = f"its driver has not answered for {may_take_ns / 1e9:.0f} s"
        with self._judging:
            self._health.failed(now_ns, CameraState.FROZEN, detail)
        self._say(CameraTurned(state=CameraState.FROZEN, kind=self._camera.kind, detail=detail, stuck=True))

    def _drain(self, take: Callable[[Frame, int], None], wanted: Callable[[], None]) -> CameraFailed | None:
        try:
            self._timed(self._camera.open, self._limits.opening_s * 1e9)
            self._last_sequence = None
            self._health.opened()
            while not self._stopping.is_set():
                if self._camera.on_demand:
                    wanted()
                self._take(self._timed(self._camera.read, self._silent_ns), take)
        except CameraFailed as failure:
            return failure
        return None

    def _take(self, frame: Frame, take: Callable[[Frame, int], None]) -> None:
        skipped = 0 if self._last_sequence is None else max(0, frame.sequence - self._last_sequence - 1)
        self._last_sequence = frame.sequence
        seen = glance(frame.pixels) if self._camera.sensor else None
        self._tell(lambda now_ns: self._health.frame(now_ns, seen, 1 + skipped))
        if seen is not None and self._health.repeats(self._clock.monotonic_ns()):
            raise CameraFrozen("it gives one picture again and again; its cable or its driver is at fault")
        if self._health.state is CameraState.LIVE:
            self._attempt = 0
        take(frame, skipped)

    def _failed(self, failure: CameraFailed) -> None:
        self._tell(lambda now_ns: self._health.failed(now_ns, _state(failure), str(failure)))

    def _timed(self, call: Callable[[], T], may_take_ns: float) -> T:
        self._under_way = self._clock.monotonic_ns(), may_take_ns
        try:
            return call()
        finally:
            self._under_way = None

    def _tell(self, judge: Callable[[int], Turn | None]) -> None:
        with self._judging:
            turn = judge(self._clock.monotonic_ns())
        if turn is not None:
            kind, note = self._camera.kind, self._camera.note
            detail = turn.detail or note
            self._say(CameraTurned(state=turn.state, kind=kind, detail=detail, lasted_s=turn.lasted_s))


def _state(failure: CameraFailed) -> CameraState:
    match failure:
        case CameraBusy():
            return CameraState.BUSY
        case CameraFrozen():
            return CameraState.FROZEN
        case _:
            return CameraState.LOST
