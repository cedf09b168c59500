from datetime import UTC, datetime
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from agent.core.camera.frames import Frame
from agent.loops.child.snapshot import snapshot
from agent.wire.commands import FRAME_MAX_BYTES
from agent.wire.ipc import Snap, SnapFailed, Snapped

AT = datetime(2026, 6, 1, tzinfo=UTC)


def frame(pixels):
    return Frame(pixels=pixels, sequence=7, captured_ns=1, captured_at=AT, name="")


def noise(height, width):
    return np.random.default_rng(1).integers(0, 256, (height, width, 3), np.uint8)


@pytest.mark.parametrize(
    ("size", "side_px", "expected"),
    [((600, 800), 320, (240, 320)), ((800, 600), 320, (320, 240)), ((48, 64), 640, (48, 64))],
)
def test_a_frame_keeps_its_shape_and_is_never_enlarged(size, side_px, expected):
    taken = snapshot(
        frame(np.full((*size, 3), (200, 30, 30), np.uint8)), Snap(side_px=side_px, max_bytes=FRAME_MAX_BYTES)
    )
    assert isinstance(taken, Snapped)
    assert (taken.height_px, taken.width_px, taken.sequence, taken.captured_at) == (*expected, 7, AT)
    with Image.open(BytesIO(taken.jpeg)) as picture:
        assert picture.format == "JPEG"
        red, green, _ = picture.getpixel((5, 5))
    assert (red > 150, green < 90) == (True, True)


@pytest.mark.parametrize("max_bytes", [1_000, 20_000, FRAME_MAX_BYTES])
def test_even_noise_fits_its_bound(max_bytes):
    taken = snapshot(frame(noise(1080, 1920)), Snap(side_px=4096, max_bytes=max_bytes))
    assert len(taken.jpeg) <= max_bytes


def test_no_frame_and_no_room_are_told_apart():
    nothing = snapshot(None, Snap(side_px=64, max_bytes=1_000))
    tight = snapshot(frame(noise(64, 64)), Snap(side_px=64, max_bytes=100))
    assert isinstance(nothing, SnapFailed)
    assert "not given a frame" in nothing.detail
    assert isinstance(tight, SnapFailed)
    assert "100 bytes" in tight.detail
