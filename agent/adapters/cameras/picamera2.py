"""A Raspberry Pi's CSI camera through picamera2.

The image processor scales: the one stream has the asked size, cropped at the centre to its shape, so the
CPU converts nothing. That holds on the Pi 4 and older (VC4) and on the Pi 5 (PiSP) alike, which differ in
what a second, small stream may be (YUV only against RGB), so none is used.
"""

import contextlib
import os
from collections.abc import Iterator
from datetime import timedelta
from types import ModuleType
from typing import Any, Final

import numpy as np

from agent.core.camera.colour import Order, order
from agent.core.camera.faults import NO_ANSWER, fault
from agent.core.camera.frames import Frame, Pixels
from agent.core.camera.health import answers_within_s
from agent.ports.clock import Clock
from agent.wire.errors import CameraBusy, CameraFailed, CameraFrozen, ConfigError

BUFFERS: Final = 4
AGE_MAX_NS: Final = 60_000_000_000
"""An older stamp is of another clock."""
FORMAT: Final = "BGR888"
"""Which gives [R, G, B]: see `core.camera.colour`."""
_GIVES: Final = {FORMAT: Order.RGB, "XBGR8888": Order.RGB, "RGB888": Order.BGR, "XRGB8888": Order.BGR}
_FAULTS: Final = (RuntimeError, OSError, IndexError, ValueError, AttributeError)


def number(device: str) -> int:
    """The camera's number; 0 where none is named.

    Raises:
        ConfigError: it is no number.
    """
    if device and not device.isdigit():
        raise ConfigError(f"camera.device {device!r}: with picamera2 it is a camera's number, such as 0 or 1")
    return int(device or 0)


class PiCamera:
    """Frames of size (width, height), made even, at the rate (0: the camera's own, 30 a second).

    With `fresh` a frame is exposed after it was asked for; without, after the one before it was taken.
    """

    on_demand = False
    sensor = True
    kind = "picamera2"

    def __init__(
        self, camera: int, rate_fps: float, size: tuple[int, int], clock: Clock, *, fresh: bool = False
    ) -> None:
        self._number, self._rate_fps, self._clock, self._fresh = camera, rate_fps, clock, fresh
        self._size = size[0] - size[0] % 2, size[1] - size[1] % 2
        self.note = ""
        self._library: ModuleType | None = None
        self._camera: Any = None
        self._swapped = False
        self._sequence = -1

    def open(self) -> None:
        with _in_words():
            import picamera2  # noqa: PLC0415 - on a Raspberry Pi only

            self._library = picamera2
            self._camera = _made(picamera2.Picamera2, self._number)
            self._camera.configure(self._configuration())
            self._camera.start()
        self._test_colours()

    def read(self) -> Frame:
        with self._request() as request:
            stamp_ns = request.get_metadata().get("SensorTimestamp", 0)
            pixels = self._pixels(request)
        now_ns = self._clock.monotonic_ns()
        captured_ns = stamp_ns if 0 <= now_ns - stamp_ns < AGE_MAX_NS else now_ns
        self._sequence += 1
        return Frame(
            pixels=pixels,
            sequence=self._sequence,
            captured_ns=captured_ns,
            captured_at=self._clock.now() - timedelta(microseconds=(now_ns - captured_ns) / 1000),
        )

    def close(self) -> None:
        camera, self._camera = self._camera, None
        if camera is not None:
            # Nothing is left to be done about a camera that cannot even be closed.
            with contextlib.suppress(*_FAULTS):
                camera.cancel_all_and_flush()
                camera.close()

    def _configuration(self) -> dict[str, Any]:
        """`queue=False`: no frame from before the call waits to be handed out.

        Left alone, picamera2 takes the mode of the sensor whose size is nearest the stream's, which for a
        small one sees only the middle (an IMX219 at 640x480: two fifths of the width). At half of the full
        size every sensor joins its pixels two by two and sees everything.
        """
        wide, high = self._camera.sensor_resolution
        configuration: dict[str, Any] = self._camera.create_video_configuration(
            main={"size": self._size, "format": FORMAT},
            buffer_count=BUFFERS,
            queue=False,
            display=None,
            encode=None,
            sensor={"output_size": (wide // 2, high // 2)},
            controls={"FrameRate": self._rate_fps} if self._rate_fps else {},
        )
        return configuration

    @contextlib.contextmanager
    def _request(self) -> Iterator[Any]:
        """One of the few buffers: given back at once, or the camera starves."""
        with _in_words():
            try:
                request = self._camera.capture_request(
                    wait=answers_within_s(self._rate_fps), flush=self._fresh or None
                )
            except TimeoutError as error:
                raise CameraFrozen(NO_ANSWER) from error
            try:
                yield request
            finally:
                request.release()

    def _pixels(self, request: Any) -> Pixels:
        """A copy, without the padding that may end the rows of the buffer."""
        assert self._library is not None
        with self._library.MappedArray(request, "main", write=False) as mapped:
            colours = mapped.array[..., :3]
            return np.array(colours[..., ::-1] if self._swapped else colours, order="C")

    def _test_colours(self) -> None:
        """The format that was granted says the order; the library's own picture of a frame confirms it."""
        granted = self._camera.camera_configuration()["main"]["format"]
        said = _GIVES.get(granted)
        if said is None:
            raise CameraFailed(f"the camera grants the format {granted}, not {FORMAT}; use kind v4l2 for it")
        self._swapped = False
        with self._request() as request:
            seen = order(self._pixels(request), np.asarray(request.make_image("main").convert("RGB")))
        if seen is Order.OTHER:
            raise CameraFailed("picamera2 contradicts itself about colours; install another version of it")
        found = said if seen is Order.UNTOLD else seen
        self._swapped = found is Order.BGR
        self.note = "red and blue came swapped and are put right" if self._swapped else ""


def _made(kind: Any, number: int) -> Any:
    """A camera object, as its class makes it. What its constructor leaves behind when it fails (a pipe, the
    camera itself) would add up over many attempts, so it is put away here.
    """
    attached = kind.global_camera_info()
    if number < len(attached) and "/usb" in attached[number]["Id"]:
        raise CameraFailed("the only camera that libcamera sees is a USB webcam; use kind v4l2 for it")
    camera = kind.__new__(kind)
    try:
        camera.__init__(number)
    except _FAULTS:
        _put_away(camera)
        raise
    return camera


def _put_away(camera: Any) -> None:
    if getattr(camera, "is_open", False):
        # One that failed before it was registered is released here and then stumbles (KeyError).
        with contextlib.suppress(*_FAULTS, KeyError):
            camera.close()
        # Its finaliser would close it once more.
        camera.is_open = False
    if hasattr(camera, "notifyme_w") and not camera.notifymeread.closed:
        camera.notifymeread.close()
        os.close(camera.notifyme_w)


@contextlib.contextmanager
def _in_words() -> Iterator[None]:
    try:
        yield
    except (ImportError, *_FAULTS) as error:
        known = fault(" / ".join(_chain(error)))
        raise (CameraBusy if known.busy else CameraFailed)(known.sentence) from error


def _chain(error: BaseException | None) -> Iterator[str]:
    """picamera2 says what it was doing; what went wrong is the cause of the cause."""
    while error is not None:
        yield str(error) or type(error).__name__
        error = error.__cause__ or error.__context__
