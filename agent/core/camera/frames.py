"""A camera frame as it travels from the camera to the tensor."""

from dataclasses import dataclass
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Frame:
    """Pixels are height x width x 3, uint8, in the order red, green, blue; nobody writes to them."""

    pixels: Pixels
    sequence: int
    captured_ns: int
    """On the monotonic clock: the instant of exposure, as near as the camera knows it."""
    captured_at: datetime
    """The same instant in UTC."""
    name: str = ""
