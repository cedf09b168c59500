"""What lies on the operator's desk: model files, label files, photographs."""

import io
import struct
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from agent.core.camera.frames import Pixels
from agent.wire.topics import sha256
from deploy.adapters import npz_file
from deploy.core.factory.conversion.calibration import Candidate
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


def pictures(places: Sequence[Path]) -> tuple[Candidate, ...]:
    """These files, and the pictures in these folders and in the folders in them, by custom one a label.

    Raises:
        Refused: a place does not exist, or there is no picture in any.
    """
    found: list[Candidate] = []
    for place in places:
        if not place.exists():
            raise Refused(f"{place}: there is no such file or folder")
        found += map(_candidate, _inside(place) if place.is_dir() else [place])
    if not found:
        raise Refused(f"no picture ({', '.join(sorted(PICTURES))}) in {', '.join(map(str, places))}")
    return tuple(found)


def _inside(folder: Path) -> Iterable[Path]:
    found = (*folder.iterdir(), *folder.glob("*/*"))
    return sorted(path for path in found if path.suffix.lower() in PICTURES and path.is_file())


def labelled(folder: Path) -> list[tuple[Path, list[Path]]]:
    """The folders in a folder, one a label by custom, each with the pictures below it at any depth.

    Raises:
        Refused: it cannot be read.
    """
    try:
        inside = [path for path in folder.iterdir() if path.is_dir() and not path.name.startswith(".")]
        return [(label, _below(label)) for label in sorted(inside, key=lambda path: path.name)]
    except OSError as error:
        raise Refused(f"{folder}: {error.strerror}") from error


def _below(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.suffix.lower() in PICTURES and path.is_file())


def _candidate(path: Path) -> Candidate:
    return Candidate(str(path.parent), sha256(read(path)), str(path))


def arrays(path: Path) -> Sequence[Pixels]:
    """The pictures in an .npz file: the array `x`, or the only one.

    Raises:
        Refused: there is none of bytes, count x height x width x 1 or 3.
    """
    with npz_file.opened(path) as held:
        name = "x" if "x" in held else next(iter(held)) if len(held) == 1 else ""
        found = held[name] if name else None
    if found is None:
        raise Refused(f"{path} has several arrays and none named x: name the pictures so")
    shape = (*found.shape, 1) if found.ndim == 3 else found.shape
    if found.dtype != np.uint8 or len(shape) != 4 or shape[3] not in {1, 3} or not found.size:
        raise Refused(
            f"{path}: golden frames are pictures as a camera gives them, bytes of count x height x width x 1 "
            f"or 3, and {name} is {' x '.join(map(str, found.shape))} {found.dtype}"
        )
    return [np.broadcast_to(each, (*shape[1:3], 3)) for each in found.reshape(shape)]


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
