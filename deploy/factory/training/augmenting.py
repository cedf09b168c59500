"""Altered copies of a picture, so that a small set teaches more than its own pixels."""

from typing import Final

import numpy as np
from PIL import Image, ImageEnhance

from agent.core.camera.frames import Pixels

_AREA_MIN: Final = 0.6
"""Of a cut, as a share of the picture."""
_COLOUR: Final = 0.2
"""How far brightness, contrast and saturation go up or down."""
_ENHANCERS: Final = (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color)


def altered(pixels: Pixels, random: np.random.Generator, *, mirror: bool) -> Pixels:
    """A picture of the same size: cut, perhaps mirrored, its colours a little off.

    Args:
        pixels: height x width x 3 bytes.
        random: decides.
        mirror: whether left and right may change places.
    """
    image = Image.fromarray(pixels)
    cut = image.resize(image.size, Image.Resampling.BILINEAR, box=_window(image.size, random))
    if mirror and random.random() < 0.5:
        cut = cut.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    for enhancer in _ENHANCERS:
        cut = enhancer(cut).enhance(1 + _COLOUR * random.uniform(-1, 1))
    return np.asarray(cut)


def _window(size: tuple[int, int], random: np.random.Generator) -> tuple[float, float, float, float]:
    """A window with the picture's own proportions, anywhere in it."""
    side = float(np.sqrt(random.uniform(_AREA_MIN, 1.0)))
    width, height = size[0] * side, size[1] * side
    left, top = random.uniform(0, size[0] - width), random.uniform(0, size[1] - height)
    return left, top, min(left + width, size[0]), min(top + height, size[1])
