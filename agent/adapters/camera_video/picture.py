"""A decoded picture as pixels of the wanted shape."""

from typing import TYPE_CHECKING

import numpy as np

from agent.core.camera.frames import Pixels
from agent.core.camera.pictures import cover

if TYPE_CHECKING:
    from av import VideoFrame


def rgb(picture: "VideoFrame", size: tuple[int, int]) -> Pixels:
    """Scaled while it is converted, so that it covers size (width, height), and cropped at its centre."""
    plan = cover((picture.width, picture.height), size)
    whole = picture.to_ndarray(format="rgb24", width=plan.width, height=plan.height)
    rows = slice(plan.top, plan.top + plan.keep_height)
    return np.ascontiguousarray(whole[rows, plan.left : plan.left + plan.keep_width], dtype=np.uint8)
