"""A camera that shows the photographs of a folder in turn: for demos, tests and evaluation."""

import logging
import time
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Final

import numpy as np
from PIL import Image, ImageOps

from agent.adapters.cameras.paced import Show
from agent.core.camera.frames import Frame, Pixels
from agent.ports.clock import Clock
from agent.wire.errors import CameraFailed

log = logging.getLogger(__name__)

SUFFIXES: Final = frozenset({".jpg", ".jpeg", ".png", ".bmp"})
CACHE_MAX_BYTES: Final = 64 * 1024 * 1024


class ReplayCamera:
    """Photographs sorted by name, in a loop, upright, at the rate (0: as often as it is asked).

    With a size (width, height) each is scaled to cover it and cropped at the centre, so that all frames
    are alike, as a camera's are. A picture is decoded when it is first due and kept while the cache has
    room; one that cannot be decoded is named in the log and left out.
    """

    def __init__(
        self,
        folder: str | Path,
        rate_fps: float,
        clock: Clock,
        size: tuple[int, int] | None = None,
        *,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._folder = Path(folder)
        self.on_demand = rate_fps == 0
        self.sensor, self.kind, self.note = False, "replay", ""
        self._show = Show(rate_fps, clock, sleep)
        self._size = size
        self._paths: list[Path] = []
        self._cache = _Cache()

    def open(self) -> None:
        self._paths = _pictures(self._folder)
        self._picture(0)
        self._show.begin()

    def read(self) -> Frame:
        return self._show.frame(self._picture)

    def close(self) -> None:
        self._cache = _Cache()

    def _picture(self, index: int) -> tuple[str, Pixels]:
        """The picture in this place of the loop, past those that cannot be decoded."""
        while self._paths:
            path = self._paths[index % len(self._paths)]
            pixels = self._cache.get(path)
            if pixels is not None:
                return path.name, pixels
            try:
                pixels = _decode(path, self._size)
            except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
                log.warning("camera.picture_skipped", extra={"path": str(path), "reason": str(error)})
                self._paths.remove(path)
                continue
            self._cache.put(path, pixels)
            return path.name, pixels
        raise CameraFailed(
            f"replay folder {self._folder}: none of its pictures can be decoded; put photographs there"
        )


class _Cache:
    """The pictures used last, up to a number of bytes."""

    def __init__(self) -> None:
        self._pixels: OrderedDict[Path, Pixels] = OrderedDict()
        self._held_bytes = 0

    def get(self, path: Path) -> Pixels | None:
        if path in self._pixels:
            self._pixels.move_to_end(path)
        return self._pixels.get(path)

    def put(self, path: Path, pixels: Pixels) -> None:
        self._pixels[path] = pixels
        self._held_bytes += pixels.nbytes
        while self._held_bytes > CACHE_MAX_BYTES and len(self._pixels) > 1:
            _, oldest = self._pixels.popitem(last=False)
            self._held_bytes -= oldest.nbytes


def _pictures(folder: Path) -> list[Path]:
    try:
        paths = sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES)
    except OSError as error:
        raise CameraFailed(f"replay folder {folder}: {error.strerror}; name an existing folder") from error
    if not paths:
        raise CameraFailed(f"replay folder {folder} holds no jpg, png or bmp picture; put at least one there")
    return paths


def _decode(path: Path, size: tuple[int, int] | None) -> Pixels:
    with Image.open(path) as opened:
        upright = ImageOps.exif_transpose(opened).convert("RGB")
    if size is not None and upright.size != size:
        upright = ImageOps.fit(upright, size, Image.Resampling.BILINEAR)
    return np.asarray(upright)
