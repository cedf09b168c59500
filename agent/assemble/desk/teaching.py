"""What `shoal-agent teach` and its child processes say to each other, and the one that reads the camera."""

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from msgspec import Struct

from agent.config import Camera
from agent.core.serving.delegate import RuntimeChoice
from agent.wire.documents import Fit
from agent.wire.errors import CameraFailed

_SETTLING_FRAMES: Final = 8
"""Webcams begin dark and find their exposure and white balance in some frames."""


class Teach(Struct, frozen=True, kw_only=True, tag="teach"):
    model: str
    images: str
    """A folder with a folder of pictures for each label; empty: only find out whether this model can be
    taught and the file be written, before anybody shows anything to a camera.
    """
    out: str
    add: bool = False
    """The model was taught before: its labels stay."""
    layer: str | None = None
    unknown: str | None = None
    """A class for what is like no label."""
    name: str = ""
    fit: Fit = Fit.CENTRE_CROP
    runtime: RuntimeChoice = RuntimeChoice.AUTO
    threads: int = 1


class Capture(Struct, frozen=True, kw_only=True, tag="capture"):
    camera: Camera
    frames: int
    apart_s: float
    folder: str


class Captured(Struct, frozen=True, kw_only=True, tag="captured"):
    """So many frames are in the folder; one answer for each."""

    frames: int


class Looked(Struct, frozen=True, kw_only=True, tag="looked"):
    """So many pictures went through the network."""

    pictures: int
    total: int


class TaughtLabel(Struct, frozen=True, kw_only=True):
    name: str
    pictures: int


class Mistaken(Struct, frozen=True, kw_only=True):
    """Two labels of which held-out pictures passed for the other."""

    first: str
    second: str
    mistaken: int
    pictures: int
    similarity: float


class Taught(Struct, frozen=True, kw_only=True, tag="taught"):
    labels: tuple[TaughtLabel, ...]
    layer: str
    dimensions: int
    right: int
    """Of the held-out pictures, those of which the best label is the true one."""
    held_out: int
    between: tuple[float, float]
    """What share is right, with a confidence of 95 %."""
    mistaken: tuple[Mistaken, ...]
    unknown_share: float | None
    """Of the held-out pictures, those that would be called unknown; None: there is no such class."""
    remarks: tuple[str, ...]
    file: str
    file_bytes: int
    took_s: float


class Passed(Struct, frozen=True, kw_only=True, tag="passed"):
    """One picture was passed over."""

    image: str
    detail: str


def capture(job: Capture) -> Iterator[Captured]:
    """
    Raises:
        PortError: the camera gives no frames, or the disk takes none.
    """
    from PIL import Image

    from agent.adapters.clock_system import SystemClock
    from agent.assemble.children.cameras import open_camera
    from agent.core.camera.pictures import turned

    camera = open_camera(job.camera, SystemClock())
    try:
        camera.open()
        for _ in range(_SETTLING_FRAMES if camera.sensor else 0):
            camera.read()
        taken, next_ns = 0, 0
        places = (Path(job.folder) / f"{number:04}.png" for number in itertools.count())
        free = (place for place in places if not place.exists())
        while taken < job.frames:
            frame = camera.read()
            if frame.captured_ns < next_ns:
                continue
            next_ns = frame.captured_ns + int(job.apart_s * 1e9)
            picture = Image.fromarray(turned(frame.pixels, job.camera.rotate_deg))
            picture.save(next(free), compress_level=1)
            taken += 1
            yield Captured(frames=taken)
    except OSError as error:
        raise CameraFailed(f"a frame cannot be kept in {job.folder}: {error.strerror or error}") from error
    finally:
        camera.close()
