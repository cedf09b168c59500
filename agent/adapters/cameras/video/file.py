"""A video file as a camera: its pictures in turn, in a loop."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from agent.adapters.cameras.paced import Show
from agent.adapters.cameras.video.opening import Opener, open_container, shown
from agent.adapters.cameras.video.packets import pictures
from agent.adapters.cameras.video.picture import Shaper
from agent.core.camera.frames import Frame, Pixels
from agent.core.camera.health import ANSWER_S
from agent.ports.clock import Clock
from agent.wire.errors import CameraFailed

if TYPE_CHECKING:
    from av import VideoFrame
    from av.container import InputContainer


class FileCamera:
    """Each picture of the file, one a period of the rate (0: as often as it is asked).

    A late reader gets the next picture under a number that tells how many it missed: decoding those too
    would make it later still.
    """

    sensor = False
    kind, note = "file", ""

    def __init__(
        self,
        path: str,
        rate_fps: float,
        size: tuple[int, int],
        clock: Clock,
        *,
        opener: Opener = open_container,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._path = path
        self._shaper = Shaper(size)
        self._opener = opener
        self.on_demand = rate_fps == 0
        self._show = Show(rate_fps, clock, sleep)
        self._container: InputContainer | None = None
        self._pictures: Iterator[VideoFrame] = iter(())

    def open(self) -> None:
        self._rewind()
        self._show.begin()

    def read(self) -> Frame:
        return self._show.frame(self._next)

    def close(self) -> None:
        self._pictures = iter(())
        if self._container is not None:
            self._container.close()
            self._container = None

    def _next(self, _index: int) -> tuple[str, Pixels]:
        """Whatever the number: one that comes late is told by it, see above."""
        return Path(self._path).name, self._shaper.rgb(self._picture())

    def _picture(self) -> "VideoFrame":
        picture = next(self._pictures, None)
        if picture is None:
            self._rewind()
            picture = next(self._pictures, None)
        if picture is None:
            raise CameraFailed(f"{shown(self._path)} holds no picture; choose another video")
        return picture

    def _rewind(self) -> None:
        """Opened anew: not every format can be sought in."""
        self.close()
        self._container = self._opener(self._path, format_name=None, options={}, read_s=ANSWER_S)
        self._pictures = pictures(self._container, self._path, ANSWER_S)
