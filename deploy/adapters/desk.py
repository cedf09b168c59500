"""What lies on the operator's desk: model files, label files, photographs."""

import io
import struct
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from agent.core.camera.frames import Pixels
from deploy.core.refusal import Refused

PICTURES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp", ".gif", ".tif", ".tiff", ".ppm"})


def read(path: Path) -> bytes:
    """
    Raises:
        Refused: the file cannot be read.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise Refused(f"{path}: {error.strerror}") from error


def pictures(places: Sequence[Path], at_most: int) -> tuple[Path, ...]:
    """The picture files among these files and, sorted by name, in these folders.

    Raises:
        Refused: a place does not exist, or there is no picture in any.
    """
    found: list[Path] = []
    for place in places:
        if not place.exists():
            raise Refused(f"{place}: there is no such file or folder")
        found += _inside(place) if place.is_dir() else [place]
    if not found:
        raise Refused(f"no picture ({', '.join(sorted(PICTURES))}) in {', '.join(map(str, places))}")
    return tuple(found[:at_most])


def _inside(folder: Path) -> Iterable[Path]:
    return sorted(path for path in folder.iterdir() if path.suffix.lower() in PICTURES and path.is_file())


def picture(path: Path) -> Image.Image:
    """The picture upright, in RGB.

    Raises:
        Refused: the file is no picture that can be decoded.
    """
    try:
        with Image.open(path) as opened:
            return ImageOps.exif_transpose(opened).convert("RGB")
    except (UnidentifiedImageError, Image.DecompressionBombError) as error:
        raise Refused(f"{path} is no picture: {error}") from error
    except (OSError, ValueError, SyntaxError, EOFError, struct.error) as error:
        # Pillow's readers of damaged files raise all of these.
        raise Refused(f"{path} cannot be decoded: {error}") from error


def frame(path: Path, side_px: int) -> Pixels:
    """The picture upright, in RGB, with no side longer than `side_px`.

    Raises:
        Refused: the file is no picture that can be decoded.
    """
    upright = picture(path)
    upright.thumbnail((side_px, side_px), Image.Resampling.BILINEAR)
    return np.asarray(upright)


def png(pixels: Pixels) -> bytes:
    """8-bit RGB, the form that golden frames have in a release."""
    written = io.BytesIO()
    Image.fromarray(pixels).save(written, "PNG", optimize=True)
    return written.getvalue()
