"""Photographs for calibrating and judging a classifier: which, and which part of each."""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Pixels = NDArray[Any]
Box = tuple[float, float, float, float]

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp"})
HELD_OUT_EVERY = 4
CENTRE_SHARES = (1.0, 0.6)


class Photograph(NamedTuple):
    path: Path
    sha256: str


class Split(NamedTuple):
    """Photographs that set the quantization ranges, and those that only judge the result."""

    calibration: tuple[Photograph, ...]
    held_out: tuple[Photograph, ...]


def find(folders: Iterable[Path]) -> list[Photograph]:
    """Every picture below the folders once, ordered by digest so that names and places don't matter.

    Raises:
        FileNotFoundError: a folder holds no picture.
    """
    by_digest = {photograph.sha256: photograph for folder in folders for photograph in _inside(folder)}
    return [by_digest[digest] for digest in sorted(by_digest)]


def _inside(folder: Path) -> list[Photograph]:
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)
    if not paths:
        raise FileNotFoundError(f"{folder} holds no picture ({', '.join(sorted(SUFFIXES))})")
    return [Photograph(path, hashlib.sha256(path.read_bytes()).hexdigest()) for path in paths]


def split(photographs: Sequence[Photograph]) -> Split:
    """Holds every fourth photograph back, whole: no crop of it takes part in the calibration."""
    held_out = photographs[::HELD_OUT_EVERY]
    calibration = [photograph for photograph in photographs if photograph not in held_out]
    return Split(tuple(calibration), tuple(held_out))


def listing(division: Split) -> str:
    """One line for each photograph: its digest, what it served for, its folder and name."""
    roles = {"calibration": division.calibration, "held-out": division.held_out}
    lines = [
        f"{photograph.sha256}  {role:<11}  {photograph.path.parent.name}/{photograph.path.name}\n"
        for role, chosen in roles.items()
        for photograph in chosen
    ]
    return "".join(lines)


def crop_boxes(width_px: int, height_px: int) -> list[Box]:
    """The squares that are looked at in a picture: its centre, a closer centre, and both ends.

    The ends are left out where the picture is nearly square and they would repeat the centre.
    """
    boxes = [_centred(width_px, height_px, share) for share in CENTRE_SHARES]
    side = min(width_px, height_px)
    if max(width_px, height_px) >= 1.2 * side:
        boxes += [(0, 0, side, side), (width_px - side, height_px - side, width_px, height_px)]
    return boxes


def _centred(width_px: int, height_px: int, share: float) -> Box:
    side = min(width_px, height_px) * share
    left, top = (width_px - side) / 2, (height_px - side) / 2
    return left, top, left + side, top + side


def crops(photographs: Iterable[Photograph], side_px: int) -> Iterator[Pixels]:
    """Every square of every photograph, side x side RGB bytes as a batch of one: what a device feeds."""
    for photograph in photographs:
        with Image.open(photograph.path) as picture:
            pixels = picture.convert("RGB")
        for box in crop_boxes(*pixels.size):
            yield _resized(pixels, box, side_px)


def _resized(picture: Image.Image, box: Box, side_px: int) -> Pixels:
    square = picture.resize((side_px, side_px), Image.Resampling.BILINEAR, box=box)
    return np.asarray(square, np.uint8)[np.newaxis]
