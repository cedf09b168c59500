"""A decoded picture as pixels of the wanted shape."""

from typing import TYPE_CHECKING

import numpy as np

from agent.core.camera.frames import Pixels
from agent.core.camera.pictures import cover

if TYPE_CHECKING:
    from av import VideoFrame
    from av.video.reformatter import VideoReformatter


class Shaper:
    """Makes pixels of the pictures of one camera or file, which keeps the tables of the conversion: making
    them anew takes as long as converting a picture.
    """

    def __init__(self, size: tuple[int, int]) -> None:
        self._size = size
        self._reformatter: VideoReformatter | None = None

    def rgb(self, picture: "VideoFrame") -> Pixels:
        """Scaled while it is converted, so that it covers size (width, height), cropped at its centre, and
        upright, where the video says how it was held.
        """
        quarters = round(picture.rotation / 90) % 4
        wanted = self._size[::-1] if quarters % 2 else self._size
        plan = cover((picture.width, picture.height), wanted)
        whole = self._converted(picture, plan.width, plan.height)
        rows = slice(plan.top, plan.top + plan.keep_height)
        kept = whole[rows, plan.left : plan.left + plan.keep_width]
        # Both count counterclockwise: av_display_rotation_get() of libavutil/display.h and numpy.
        return np.ascontiguousarray(np.rot90(kept, quarters))

    def _converted(self, picture: "VideoFrame", width: int, height: int) -> Pixels:
        if self._reformatter is None:
            from av.video.reformatter import (  # noqa: PLC0415 - an extra, which the other cameras do without
                VideoReformatter,
            )

            self._reformatter = VideoReformatter()
        pixels = self._reformatter.reformat(picture, width, height, "rgb24").to_ndarray()
        return pixels.astype(np.uint8, copy=False)
