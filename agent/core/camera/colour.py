"""Whether red and blue are where they should be.

picamera2 names its formats the other way round than numpy sees them: the stream format `BGR888` gives
pixels [R, G, B], and `RGB888` gives [B, G, R] (picamera2, request.py, the table in `Helpers._get_pil_mode`).
Swapped colours raise no error and cost accuracy, so the library's own picture of a frame is the witness.
"""

from enum import StrEnum
from typing import Final

import numpy as np

from agent.core.camera.frames import Pixels

COLOURLESS: Final = 1.0
"""Mean difference between red and blue, of 255, below which a picture cannot bear witness."""


class Order(StrEnum):
    RGB = "red, green, blue"
    BGR = "blue, green, red"
    UNTOLD = "not told by this picture"
    """It has no colours."""
    OTHER = "neither"


def order(ours: Pixels, witness: Pixels) -> Order:
    """How the colours of `ours` are ordered, where `witness` is the same picture as red, green, blue."""
    if ours.shape != witness.shape:
        return Order.OTHER
    straight, swapped = _apart(ours, witness), _apart(ours[..., ::-1], witness)
    if straight < COLOURLESS and swapped < COLOURLESS:
        return Order.UNTOLD
    if min(straight, swapped) >= COLOURLESS:
        return Order.OTHER
    return Order.RGB if straight < swapped else Order.BGR


def _apart(one: Pixels, other: Pixels) -> float:
    return float(np.abs(one.astype(np.int16) - other.astype(np.int16)).mean())
