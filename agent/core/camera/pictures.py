"""Pictures of a camera: a glance at one, and how it becomes the one that was asked for."""

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np

from agent.core.camera.frames import Pixels
from agent.core.camera.health import Glance

Turns = Literal[0, 90, 180, 270]
GRID: Final = 16
"""A glance takes so many rows and columns of a frame: 768 bytes, whatever the frame's size."""


@dataclass(frozen=True, slots=True)
class Cover:
    """Scale to `width` x `height`, then cut `left` and `top` off and keep what was asked for."""

    width: int
    height: int
    left: int
    top: int
    keep_width: int
    keep_height: int


def glance(pixels: Pixels) -> Glance:
    rows, columns = (max(1, side // GRID) for side in pixels.shape[:2])
    few = pixels[rows // 2 :: rows, columns // 2 :: columns][:GRID, :GRID]
    return Glance(few.tobytes(), float(few.mean()))


def turned(pixels: Pixels, rotate_deg: Turns) -> Pixels:
    """The picture turned clockwise; itself for 0."""
    if rotate_deg == 0:
        return pixels
    return np.ascontiguousarray(np.rot90(pixels, k=-rotate_deg // 90))


def cover(source: tuple[int, int], wanted: tuple[int, int]) -> Cover:
    """How a source (width, height) in pixels is scaled to cover the wanted size and cropped at its centre.

    Never enlarged: pixels that a camera does not have are not made up. A source that is smaller on one
    side keeps that side, and the other is cropped so that the shape is the wanted one.
    """
    scale = min(1.0, max(wanted[0] / source[0], wanted[1] / source[1]))
    width, height = (max(1, round(side * scale)) for side in source)
    shrink = min(1.0, width / wanted[0], height / wanted[1])
    keep_width = max(1, min(width, round(wanted[0] * shrink)))
    keep_height = max(1, min(height, round(wanted[1] * shrink)))
    return Cover(
        width, height, (width - keep_width) // 2, (height - keep_height) // 2, keep_width, keep_height
    )
