"""A stand-in for libcamera's Python binding, so that picamera2's own Python runs without a Raspberry Pi.

It has what picamera2 0.3.38 asks of it (picamera2.py, request.py, controls.py, utils.py and
allocators/dmaallocator.py): streams whose rows are padded, requests that are completed at the frame rate by
a thread, stamps on the monotonic clock, one process at a time. Pixel formats are named as in DRM: `BGR888`
lies in memory as R, G, B. What picamera2 imports besides and does not need for frames is left empty.
"""

import enum
import itertools
import os
import sys
import threading
import time
import types
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial

import numpy as np

ABSENT = (
    "videodev2",
    "kms",
    "pykms",
    "simplejpeg",
    "piexif",
    "pidng",
    "pidng.core",
    "pidng.camdefs",
    "prctl",
    "libarchive",
    "libarchive.read",
    "jsonschema",
    "OpenEXR",
    "Imath",
)
SENSOR = {"SRGGB10_CSI2P": [(640, 480), (1640, 1232), (1920, 1080), (3280, 2464)]}
"""An IMX219: only the second and the last of its modes see all that the sensor sees."""


@dataclass(eq=True, frozen=True)
class Named:
    name: str
    type: object = None


class _Names:
    """Controls by attribute, each the same object whenever it is asked for."""

    def __init__(self) -> None:
        self._known: dict[str, Named] = {}

    def __getattr__(self, name: str) -> Named:
        if name.startswith("_"):
            raise AttributeError(name)
        return self._known.setdefault(name, Named(name))


class Size:
    def __init__(self, width: int = 0, height: int = 0) -> None:
        self.width, self.height = width, height


class Rectangle:
    def __init__(self, x: int, y: int, width: int, height: int) -> None:
        self.x, self.y, self.width, self.height = x, y, width, height


class Transform:
    def __init__(
        self, other: "Transform | None" = None, *, hflip: int = 0, vflip: int = 0, transpose: int = 0
    ) -> None:
        self.hflip = other.hflip if other else hflip
        self.vflip = other.vflip if other else vflip
        self.transpose = other.transpose if other else transpose

    def __hash__(self) -> int:
        return hash((self.hflip, self.vflip, self.transpose))

    def __str__(self) -> str:
        return f"hflip {self.hflip}, vflip {self.vflip}, transpose {self.transpose}"


class ColorSpace:
    class YcbcrEncoding(enum.Enum):
        Null = 0

    class Range(enum.Enum):
        Full = 0

    def __init__(self, other: "ColorSpace | str") -> None:
        self.primaries = other if isinstance(other, str) else other.primaries
        self.transferFunction, self.ycbcrEncoding, self.range = self.primaries, None, None

    def __hash__(self) -> int:
        return hash(self.primaries)

    def __str__(self) -> str:
        return self.primaries


for _name in ("Sycc", "Smpte170m", "Rec709", "Raw"):
    setattr(ColorSpace, _name, staticmethod(partial(ColorSpace, _name)))


class PixelFormat:
    def __init__(self, name: str) -> None:
        self._name = name

    def __str__(self) -> str:
        return self._name


Orientation = enum.Enum(
    "Orientation",
    "Rotate0 Rotate0Mirror Rotate180Mirror Rotate180 Rotate90Mirror Rotate270 Rotate90 Rotate270Mirror",
)
StreamRole = enum.Enum("StreamRole", "StillCapture Raw VideoRecording Viewfinder")
ControlType = enum.Enum("ControlType", "Rectangle Size")


class FrameMetadata:
    Status = enum.Enum("Status", "Success Error")


class FrameBuffer:
    class Plane:
        fd, offset, length = -1, 0, 0

    def __init__(self, planes: list["FrameBuffer.Plane"]) -> None:
        self.planes = planes
        self.metadata = types.SimpleNamespace(status=FrameMetadata.Status.Success)


class SensorConfiguration:
    bit_depth = 0
    output_size = Size()


class StreamConfiguration:
    def __init__(self, role: StreamRole) -> None:
        self.stream, self.role = object(), role
        self.size, self.stride, self.buffer_count = Size(), 0, 0
        self.pixel_format = PixelFormat("XBGR8888")
        self.color_space: ColorSpace | None = None
        self.formats = types.SimpleNamespace(
            pixel_formats=[PixelFormat(name) for name in SENSOR],
            sizes=lambda pixel: [Size(*size) for size in SENSOR[str(pixel)]],
        )

    @property
    def frame_size(self) -> int:
        return self.stride * self.size.height


class CameraConfiguration:
    Status = enum.Enum("Status", "Valid Adjusted Invalid")

    def __init__(self, roles: list[StreamRole], rig: "Rig") -> None:
        self._streams, self._rig = [StreamConfiguration(role) for role in roles], rig
        self.orientation, self.sensor_config = Orientation.Rotate0, None

    def at(self, index: int) -> StreamConfiguration:
        return self._streams[index]

    def __iter__(self) -> Iterator[StreamConfiguration]:
        return iter(self._streams)

    def validate(self) -> object:
        """Rows are padded to what the image processor likes, and a format may be exchanged for another."""
        for stream in self._streams:
            name = str(stream.pixel_format)
            if stream.role is StreamRole.Raw:
                stream.stride = stream.size.width * 2
                continue
            if self._rig.grants is not None:
                stream.pixel_format, name = PixelFormat(self._rig.grants), self._rig.grants
            bytes_a_pixel = 4 if name.startswith("X") else 3
            align = self._rig.align
            stream.stride = -(-stream.size.width * bytes_a_pixel // align) * align
        return CameraConfiguration.Status.Adjusted


class Request:
    Status = enum.Enum("Status", "Complete Cancelled")

    def __init__(self, cookie: int) -> None:
        self.cookie, self.buffers, self.metadata = cookie, {}, {}
        self.status = Request.Status.Complete

    def add_buffer(self, stream: object, buffer: FrameBuffer) -> None:
        self.buffers[stream] = buffer

    def reuse(self) -> None:
        self.metadata = {}

    def set_control(self, control: Named, value: object) -> None:
        pass


class Camera:
    def __init__(self, rig: "Rig") -> None:
        self._rig, self.id = rig, rig.id
        self._queue: deque[Request] = deque()
        self._running = threading.Event()
        self._thread: threading.Thread | None = None
        self.configured: CameraConfiguration | None = None
        limits = types.SimpleNamespace(min=0, max=1_000_000, default=0)
        names = ("FrameDurationLimits", "NoiseReductionMode", "ExposureTime", "AnalogueGain")
        self.controls = {getattr(controls, name): limits for name in names}
        self.properties = {properties.Model: "imx219"} | (
            {properties.ColorFilterArrangement: 0} if "/usb" not in rig.id else {}
        )

    def acquire(self) -> None:
        if self._rig.busy:
            raise RuntimeError("Failed to acquire camera: Device or resource busy")
        self._rig.acquired += 1

    def release(self) -> None:
        self._rig.acquired -= 1

    def generate_configuration(self, roles: list[StreamRole]) -> CameraConfiguration:
        return CameraConfiguration(roles, self._rig)

    def configure(self, configuration: CameraConfiguration) -> int:
        self.configured = self._rig.configured = configuration
        return 0

    def create_request(self, cookie: int) -> Request:
        return Request(cookie)

    def queue_request(self, request: Request) -> None:
        self._queue.append(request)

    def start(self, asked: dict[Named, object]) -> None:
        self._rig.asked = {control.name: value for control, value in asked.items()}
        self._running.set()
        self._thread = threading.Thread(target=self._expose, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._running.clear()
        if self._thread is not None:
            self._thread.join(5)
        self._queue.clear()

    def _expose(self) -> None:
        rig = self._rig
        duration_us, _ = rig.asked.get("FrameDurationLimits", (33_333, 33_333))
        for number in itertools.count():
            time.sleep(duration_us / 1e6)
            if not self._running.is_set():
                return
            if rig.silent.is_set() or not self._queue:
                rig.starved += not self._queue
                continue
            request = self._queue.popleft()
            began_ns = time.monotonic_ns()
            self._draw(request, number)
            request.metadata = {
                controls.SensorTimestamp: began_ns,
                controls.ExposureTime: 1000,
            }
            manager.complete(request)

    def _draw(self, request: Request, number: int) -> None:
        assert self.configured is not None
        stream = self.configured.at(0)
        height, width, stride = stream.size.height, stream.size.width, stream.stride
        name = str(stream.pixel_format)
        channels = 4 if name.startswith("X") else 3
        pixels = np.full((height, width, channels), 255, np.uint8)
        pixels[..., :3] = noisy_red_and_blue(number, height, width)
        if "RGB" in name:
            pixels[..., :3] = pixels[..., 2::-1] if channels == 3 else pixels[..., [2, 1, 0]]
        rows = np.full((height, stride), 0xEE, np.uint8)
        rows[:, : width * channels] = pixels.reshape(height, -1)
        os.pwrite(request.buffers[stream.stream].planes[0].fd, rows.tobytes(), 0)


def noisy_red_and_blue(number: int, height: int, width: int) -> np.ndarray:
    """Red to the left, blue to the right, under noise that differs from frame to frame."""
    scene = np.random.default_rng(number).integers(0, 30, (height, width, 3), np.uint8)
    scene[:, : width // 2, 0] += 200
    scene[:, width // 2 :, 2] += 200
    return scene


@dataclass
class Rig:
    """What the camera is like, and what became of it."""

    attached: bool = True
    id: str = "/base/soc/i2c0mux/i2c@1/imx219@10"
    busy: bool = False
    heap: bool = True
    align: int = 1
    grants: str | None = None
    """A format that is given whatever was asked for."""
    silent: threading.Event = field(default_factory=threading.Event)
    acquired: int = 0
    starved: int = 0
    asked: dict[str, object] = field(default_factory=dict)
    configured: CameraConfiguration | None = None


class CameraManager:
    def __init__(self) -> None:
        self.event_fd = os.eventfd(0, os.EFD_NONBLOCK)
        self.cameras: list[Camera] = []
        self._ready: deque[Request] = deque()

    @staticmethod
    def singleton() -> "CameraManager":
        return manager

    def set_rig(self, rig: Rig) -> None:
        self.cameras = [Camera(rig)] if rig.attached else []
        self._ready.clear()

    def complete(self, request: Request) -> None:
        self._ready.append(request)
        os.eventfd_write(self.event_fd, 1)

    def get_ready_requests(self) -> list[Request]:
        with suppress(BlockingIOError):
            os.eventfd_read(self.event_fd)
        ready = []
        while self._ready:
            ready.append(self._ready.popleft())
        return ready


controls, properties = _Names(), _Names()
controls.draft = types.SimpleNamespace(
    NoiseReductionModeEnum=types.SimpleNamespace(Fast=1, HighQuality=2, Minimal=3)
)
properties.draft = types.SimpleNamespace(ColorFilterArrangementEnum=types.SimpleNamespace(MONO=4))
manager = CameraManager()


class _Blank(type):
    def __getattr__(cls, name: str) -> int:
        if name.startswith("__"):
            raise AttributeError(name)
        return 0


class _Empty(types.ModuleType):
    """A module in which everything that is asked for is an empty class."""

    __all__: tuple[str, ...] = ()

    def __getattr__(self, name: str) -> type:
        if name.startswith("__"):
            raise AttributeError(name)
        return _Blank(name, (), {})


def _ioctl_number(*_: object) -> int:
    return 0


class _Heap:
    """Memory in place of /dev/dma_heap."""

    def __init__(self, rig: Rig, unique: type) -> None:
        self._unique = unique
        if not rig.heap:
            raise RuntimeError("Could not open any dmaHeap device")

    def alloc(self, name: str, size: int) -> object:
        memory = os.memfd_create(name)
        os.ftruncate(memory, size)
        return self._unique(memory)

    def close(self) -> None:
        pass


@contextmanager
def installed(rig: Rig) -> Iterator[None]:
    """picamera2 from its own source over this module, for as long as it lasts."""
    before = dict(sys.modules)
    ours = sys.modules[__name__]
    ours._libcamera = ours
    sys.modules["libcamera"] = ours
    for name in ABSENT:
        sys.modules.setdefault(name, _Empty(name))
    sys.modules["videodev2"]._IOW = sys.modules["videodev2"]._IOWR = _ioctl_number
    manager.set_rig(rig)
    from picamera2.allocators import dmaallocator
    from picamera2.dma_heap import UniqueFD

    dmaallocator.DmaHeap = lambda: _Heap(rig, UniqueFD)
    dmaallocator.fcntl = types.SimpleNamespace(ioctl=_ioctl_number)
    try:
        yield
    finally:
        for name in set(sys.modules) - set(before):
            if name.partition(".")[0] in {
                "picamera2",
                "libcamera",
                *(each.partition(".")[0] for each in ABSENT),
            }:
                del sys.modules[name]
