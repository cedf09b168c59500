"""The feeder: it owns a camera that several pipelines classify, and lays its frames where they read them."""

from collections.abc import Callable
from threading import Event, Lock, Thread
from typing import Final

from agent.core.camera.frames import Frame
from agent.core.camera.health import Limits
from agent.core.camera.ring import Told
from agent.loops.child.source import Source
from agent.ports.camera import Camera
from agent.ports.clock import Clock
from agent.ports.ring import Ring
from agent.wire.ipc import CameraTurned

WATCH_S: Final = 0.5
ON_DEMAND_S: Final = 1 / 30
"""Between two frames of a camera that would give as many as it is asked for: its readers do not ask."""
EXIT_STUCK: Final = 75
"""EX_TEMPFAIL of sysexits.h: its driver hangs, and a new process may get past that."""
LEAVE_S: Final = 0.5


class Feeder:
    def __init__(
        self,
        camera: Camera,
        ring: Ring,
        clock: Clock,
        delay_s: Callable[[int], float],
        rate_fps: float,
        limits: Limits | None = None,
    ) -> None:
        self._camera, self._ring = camera, ring
        self._source = Source(camera, clock, self._say, delay_s, rate_fps=rate_fps, limits=limits)
        self._saying = Lock()
        self._stopping = Event()
        self._stuck = False

    def run(self) -> int:
        """Until stopped; the exit status of the process."""
        reading = Thread(
            target=self._source.run, args=(self._take, self._wait_wanted), name="capture", daemon=True
        )
        reading.start()
        while not self._stopping.wait(WATCH_S):
            self._source.watch()
            if self._stuck:
                return EXIT_STUCK
        self._source.stop()
        reading.join(LEAVE_S)
        return 0

    def stop(self) -> None:
        self._stopping.set()

    def _take(self, frame: Frame, _: int) -> None:
        self._ring.lay(frame)

    def _wait_wanted(self) -> None:
        self._stopping.wait(ON_DEMAND_S)

    def _say(self, turned: CameraTurned) -> None:
        camera = self._camera
        with self._saying:
            self._ring.say(Told(turned.state, camera.sensor, camera.kind, turned.detail))
        self._stuck = self._stuck or turned.stuck
