"""The pictures of an open container, one after the other, past packets that are damaged."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from agent.adapters.cameras.video.opening import said, shown
from agent.wire.errors import CameraFailed

if TYPE_CHECKING:
    from av import VideoFrame
    from av.container import InputContainer

DAMAGED_MAX: Final = 100
"""In a row: webcams damage some at their start, and a network loses some."""
PIXELS_MAX: Final = 8192 * 4320
"""Decoding takes several times 1.5 bytes for each of them, and a device may have 1 GB."""


def pictures(container: "InputContainer", place: str, read_s: float) -> Iterator["VideoFrame"]:
    """
    Args:
        container: opened, and closed, by the caller.
        place: what it was opened from.
        read_s: how long a read of it may take.

    Raises:
        CameraFailed: there is no video in it, its pictures are too large, it is gone, or nothing in it can be
            decoded.
    """
    from av.error import (  # noqa: PLC0415 - an extra, which the other cameras do without
        FFmpegError,
        InvalidDataError,
    )

    if not container.streams.video:
        raise CameraFailed(f"{shown(place)} holds no video; choose another")
    stream = container.streams.video[0]
    # Threads that work on several frames at once would hold back as many.
    stream.thread_type = "SLICE"
    size = stream.codec_context
    if size.width * size.height > PIXELS_MAX:
        raise CameraFailed(
            f"{shown(place)} has {size.width}x{size.height} px, more than 8192x4320; choose a smaller picture"
        )
    # For a stream that grows under way, or tells its size with its first picture.
    size.options = {"max_pixels": str(PIXELS_MAX)}
    damaged = 0
    try:
        for packet in container.demux(stream):
            try:
                yield from packet.decode()
                damaged = 0
            except InvalidDataError:
                damaged += 1
                if damaged > DAMAGED_MAX:
                    raise
    except FFmpegError as error:
        raise said(place, error, read_s) from error
