"""A webcam or a network stream: always the newest picture."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from agent.adapters.cameras.video.opening import Opener, open_container, shown
from agent.adapters.cameras.video.packets import pictures
from agent.adapters.cameras.video.picture import Shaper
from agent.core.camera.frames import Frame
from agent.core.camera.health import answers_within_s
from agent.core.camera.stream import SECOND_NS, Lateness, Thinning
from agent.ports.clock import Clock
from agent.wire.errors import CameraFailed

if TYPE_CHECKING:
    from av import VideoFrame
    from av.container import InputContainer

LATE_MAX_NS: Final = SECOND_NS // 2
"""A picture that waited longer in buffers is passed over for a fresher one."""
PASSED_OVER_MAX: Final = 250
"""Then one is taken as it is: this host decodes more slowly than the camera sends."""


@dataclass(frozen=True, slots=True)
class Place:
    """What is opened, and how."""

    path: str
    format_name: str | None = None
    options: dict[str, str] = field(default_factory=dict)


class LiveCamera:
    """Frames of `size` at most, at the rate (0: all of them); the sender's own rhythm decides when."""

    on_demand = False
    sensor = True

    def __init__(
        self,
        kind: str,
        find: Callable[[], Place],
        rate_fps: float,
        size: tuple[int, int],
        clock: Clock,
        *,
        opener: Opener = open_container,
    ) -> None:
        """
        Args:
            kind: `v4l2` or `rtsp`.
            find: names the place anew at each opening; it may raise CameraFailed.
            rate_fps: see above.
            size: (width, height) in pixels; larger pictures are scaled to cover it and cropped.
            clock: for instants.
            opener: opens the place.
        """
        self._find, self._rate_fps = find, rate_fps
        self._shaper = Shaper(size)
        self._clock, self._opener = clock, opener
        self.kind, self.note = kind, ""
        self._name = kind
        self._container: InputContainer | None = None
        self._pictures: Iterator[VideoFrame] = iter(())
        self._lateness, self._thinning = Lateness(), Thinning(rate_fps)
        self._sequence = -1

    def open(self) -> None:
        place = self._find()
        self._name = shown(place.path)
        self._container = self._opener(
            place.path,
            format_name=place.format_name,
            options=dict(place.options),
            read_s=answers_within_s(self._rate_fps),
        )
        self._pictures = pictures(self._container, place.path, answers_within_s(self._rate_fps))
        self._lateness, self._thinning = Lateness(), Thinning(self._rate_fps)

    def read(self) -> Frame:
        picture, exposed_ns, late_ns = self._wanted()
        passed_over = 0
        while late_ns > LATE_MAX_NS and passed_over < PASSED_OVER_MAX:
            picture, exposed_ns, late_ns = self._wanted()
            passed_over += 1
        age_ns = self._clock.monotonic_ns() - exposed_ns
        return Frame(
            pixels=self._shaper.rgb(picture),
            sequence=self._sequence,
            captured_ns=exposed_ns,
            captured_at=self._clock.now() - timedelta(microseconds=age_ns / 1000),
        )

    def close(self) -> None:
        self._pictures = iter(())
        if self._container is not None:
            self._container.close()
            self._container = None

    def _wanted(self) -> "tuple[VideoFrame, int, float]":
        """The next one that the rate lets through; they alone are counted."""
        while True:
            found = self._next()
            if self._thinning.wanted(found[1]):
                self._sequence += 1
                return found

    def _next(self) -> "tuple[VideoFrame, int, float]":
        """The next picture, its instant of exposure, and how long it was held up."""
        picture = next(self._pictures, None)
        if picture is None:
            raise CameraFailed(f"{self._name}: the stream has ended; start its sender again")
        now_ns = self._clock.monotonic_ns()
        if picture.pts is None or picture.time_base is None:
            return picture, now_ns, 0.0
        stamp_ns = round(picture.pts * picture.time_base * SECOND_NS)
        if self.kind == "v4l2" and 0 <= now_ns - stamp_ns < 10 * SECOND_NS:
            # Webcams are stamped by the kernel, on this very clock (V4L2_BUF_FLAG_TIMESTAMP_MONOTONIC).
            return picture, stamp_ns, now_ns - stamp_ns
        late_ns = self._lateness.late_ns(now_ns, stamp_ns)
        return picture, now_ns - round(late_ns), late_ns
