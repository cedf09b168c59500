"""A picture of the newest frame, small enough to be published."""

from io import BytesIO
from typing import Final

from PIL import Image

from agent.core.camera.frames import Frame
from agent.wire.ipc import Snap, SnapFailed, Snapped

QUALITIES: Final = (85, 70, 50, 30)
SMALLEST_PX: Final = 16


def snapshot(frame: Frame | None, wanted: Snap) -> Snapped | SnapFailed:
    """The frame as a JPEG within the asked bounds; first the quality gives way, then the size."""
    if frame is None:
        return SnapFailed(detail="the camera has not given a frame yet")
    image = Image.fromarray(frame.pixels)
    side_px = min(wanted.side_px, max(image.size))
    while side_px >= SMALLEST_PX:
        image.thumbnail((side_px, side_px), Image.Resampling.BILINEAR)
        for quality in QUALITIES:
            jpeg = _jpeg(image, quality)
            if len(jpeg) <= wanted.max_bytes:
                return Snapped(
                    jpeg=jpeg,
                    height_px=image.height,
                    width_px=image.width,
                    sequence=frame.sequence,
                    captured_at=frame.captured_at,
                )
        side_px = max(image.size) // 2
    return SnapFailed(detail=f"no picture of this frame fits into {wanted.max_bytes} bytes")


def _jpeg(image: Image.Image, quality: int) -> bytes:
    written = BytesIO()
    image.save(written, "JPEG", quality=quality)
    return written.getvalue()
