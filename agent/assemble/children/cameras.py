"""Which adapter a camera of the configuration is, and which one `auto` takes."""

from collections.abc import Callable

from msgspec import Struct
from msgspec.structs import replace

from agent.config import Camera as CameraSection
from agent.config import CameraKind
from agent.loops.child.choice import FirstThatWorks
from agent.ports.camera import Camera
from agent.ports.clock import Clock
from agent.wire.errors import CameraFailed, ConfigError

Make = Callable[[], Camera]


def open_camera(section: CameraSection, clock: Clock) -> Camera:
    """The camera of this section, not yet open.

    Raises:
        ConfigError: the section lacks what its kind needs.
    """
    size = section.width_px, section.height_px
    match section.kind:
        case CameraKind.REPLAY:
            from agent.adapters.cameras.replay import ReplayCamera

            return ReplayCamera(section.folder, section.rate_fps, clock, size)
        case CameraKind.PATTERN:
            from agent.adapters.cameras.pattern import PatternCamera

            return PatternCamera(section.height_px, section.width_px, section.rate_fps, clock)
        case CameraKind.FILE:
            from agent.adapters.cameras.video import FileCamera

            return FileCamera(_needed(section, "file"), section.rate_fps, size, clock)
        case CameraKind.RTSP:
            return _stream(section, clock)
        case CameraKind.V4L2:
            return _webcam(section, clock)
        case CameraKind.PICAMERA2:
            from agent.adapters.cameras.picamera2 import PiCamera, number

            return PiCamera(number(section.device), section.rate_fps, size, clock, fresh=section.fresh)
        case CameraKind.AUTO:
            return FirstThatWorks(lambda: _candidates(section, clock))
        case CameraKind.SHARED:
            raise ConfigError("a shared camera has no device of its own: it is read through its feeder")


class CameraFinding(Struct, frozen=True, kw_only=True):
    """What an examination of a camera came to."""

    kind: str
    ok: bool
    detail: str
    remedy: str = ""


def examine(section: CameraSection, clock: Clock, frames: int = 3) -> CameraFinding:
    """Open the camera and read some frames. It may hang with its driver: call it in a child process."""
    camera = open_camera(section, clock)
    try:
        camera.open()
        began_ns = clock.monotonic_ns()
        shape = [camera.read().pixels.shape for _ in range(frames)][-1]
    except CameraFailed as error:
        detail, _, remedy = str(error).partition("; ")
        return CameraFinding(kind=camera.kind, ok=False, detail=detail, remedy=remedy)
    finally:
        camera.close()
    took_s = (clock.monotonic_ns() - began_ns) / 1e9
    said = f"{frames} frames of {shape[1]}x{shape[0]} px in {took_s:.2f} s"
    return CameraFinding(kind=camera.kind, ok=True, detail=f"{said}; {camera.note}" if camera.note else said)


def _needed(section: CameraSection, key: str) -> str:
    value: str = getattr(section, key)
    if not value:
        raise ConfigError(f"camera.kind {section.kind!r} needs camera.{key}; set it in the configuration")
    return value


def _stream(section: CameraSection, clock: Clock) -> Camera:
    from agent.adapters.cameras.video import LiveCamera, Place

    place = Place(_needed(section, "url"), None, {"rtsp_transport": "tcp"})
    size = section.width_px, section.height_px
    return LiveCamera("rtsp", lambda: place, section.rate_fps, size, clock)


def _webcam(section: CameraSection, clock: Clock) -> Camera:
    from agent.adapters.cameras.nodes import webcam
    from agent.adapters.cameras.video import LiveCamera, Place

    size = section.width_px, section.height_px
    options = {"video_size": f"{size[0]}x{size[1]}"}
    if section.rate_fps:
        options["framerate"] = f"{section.rate_fps:g}"

    def find() -> Place:
        return Place(webcam(section.device), "v4l2", options)

    return LiveCamera("v4l2", find, section.rate_fps, size, clock)


def _candidates(section: CameraSection, clock: Clock) -> list[tuple[str, Make]]:
    """What `auto` tries, in order, each under the name that its refusal is told by."""
    from agent.adapters.cameras.nodes import capture_nodes

    def make(kind: CameraKind, device: str) -> Make:
        return lambda: open_camera(replace(section, kind=kind, device=device), clock)

    nodes = capture_nodes()
    return [("picamera2", make(CameraKind.PICAMERA2, "")), *((n, make(CameraKind.V4L2, n)) for n in nodes)]
