"""The small decisions about cameras: pictures, colours, nodes, faults, the ring's layout."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.core.camera.colour import Order, order
from agent.core.camera.faults import NO_ANSWER, fault
from agent.core.camera.nodes import CAPABILITY, capability, is_webcam
from agent.core.camera.pictures import cover, turned
from agent.core.camera.ring import (
    PAGE,
    SLOTS,
    Told,
    pack_state,
    pixel_bytes,
    ring_bytes,
    slot_at,
    unpack_state,
)
from agent.wire.reports import CameraState

SIDES = st.integers(1, 4000)


@pytest.mark.parametrize(
    ("rotate_deg", "expected"),
    [(0, [[1, 2], [3, 4]]), (90, [[3, 1], [4, 2]]), (180, [[4, 3], [2, 1]]), (270, [[2, 4], [1, 3]])],
)
def test_a_picture_is_turned_clockwise(rotate_deg: int, expected: list[list[int]]) -> None:
    pixels = np.repeat(np.array([[1, 2], [3, 4]], np.uint8)[..., None], 3, axis=2)
    found = turned(pixels, rotate_deg)  # type: ignore[arg-type]
    assert found[..., 0].tolist() == expected
    assert found.flags.c_contiguous


@given(source=st.tuples(SIDES, SIDES), wanted=st.tuples(SIDES, SIDES))
def test_a_cover_lies_within_the_source_keeps_its_shape_and_is_never_enlarged(
    source: tuple[int, int], wanted: tuple[int, int]
) -> None:
    plan = cover(source, wanted)
    assert 1 <= plan.keep_width <= min(plan.width, wanted[0])
    assert 1 <= plan.keep_height <= min(plan.height, wanted[1])
    assert plan.width <= source[0]
    assert plan.height <= source[1]
    assert 0 <= plan.left <= plan.width - plan.keep_width
    assert 0 <= plan.top <= plan.height - plan.keep_height
    if source[0] >= wanted[0] and source[1] >= wanted[1]:
        assert (plan.keep_width, plan.keep_height) == wanted


def test_the_witness_tells_the_order_of_colours() -> None:
    picture = np.random.default_rng(1).integers(0, 256, (20, 30, 3), np.uint8)
    grey = np.full((20, 30, 3), 77, np.uint8)
    assert order(picture, picture) is Order.RGB
    assert order(np.ascontiguousarray(picture[..., ::-1]), picture) is Order.BGR
    assert order(grey, grey) is Order.UNTOLD
    assert order(255 - picture, picture) is Order.OTHER
    assert order(picture[:10], picture) is Order.OTHER


DEVICE_CAPS, CAPTURE, OUTPUT, M2M, META = 0x8000_0000, 0x1, 0x2, 0x8000, 0x0080_0000


@pytest.mark.parametrize(
    ("driver", "of_device", "of_node", "webcam"),
    [
        ("uvcvideo", DEVICE_CAPS | CAPTURE | META, CAPTURE, True),
        ("uvcvideo", DEVICE_CAPS | CAPTURE | META, META, False),
        ("old-webcam", CAPTURE, 0, True),
        ("bcm2835-codec", DEVICE_CAPS | M2M, M2M, False),
        ("bcm2835-isp", DEVICE_CAPS | CAPTURE, CAPTURE, False),
        ("unicam", DEVICE_CAPS | CAPTURE, CAPTURE, False),
        ("rp1-cfe", DEVICE_CAPS | CAPTURE, CAPTURE, False),
        ("pispbe", DEVICE_CAPS | CAPTURE | OUTPUT, CAPTURE, False),
    ],
)
def test_which_nodes_are_webcams(driver: str, of_device: int, of_node: int, webcam: bool) -> None:
    reply = CAPABILITY.pack(driver.encode(), b"a card", b"usb-1", 0x060600, of_device, of_node)
    assert len(reply) == 104
    node = capability(reply)
    assert (node.driver, node.card) == (driver, "a card")
    assert is_webcam(node) is webcam


@pytest.mark.parametrize(
    ("said", "sentence", "busy"),
    [
        (
            "Camera __init__ sequence did not complete. / Failed to acquire camera: Device or resource busy",
            "another process has the camera",
            True,
        ),
        ("camera.acquire() returned unexpected code: -16", "another process has the camera", True),
        ("Could not open any dmaHeap device", "add the user to the group video", False),
        (
            'No camera number 0 found - use "rpicam-hello --list-cameras" to check',
            "no CSI camera is attached",
            False,
        ),
        (
            "Camera(s) not found (Do not forget to disable legacy camera with raspi-config).",
            "no CSI camera is attached",
            False,
        ),
        (
            "numpy.dtype size changed, may indicate binary incompatibility. Expected 96",
            "another numpy",
            False,
        ),
        ("No module named 'picamera2'", "apt install python3-picamera2", False),
        ("No module named 'libcamera'", "--system-site-packages", False),
        ("Permission denied", "group video", False),
        ("Camera frontend has timed out!", NO_ANSWER.partition(";")[0], False),
        ("Control Foo is not advertised by libcamera", "Control Foo is not advertised", False),
    ],
)
def test_each_way_to_fail_has_its_sentence_and_remedy(said: str, sentence: str, busy: bool) -> None:
    found = fault(said)
    assert sentence in found.sentence
    assert found.busy is busy
    assert "; " in found.sentence


@given(width=st.integers(1, 4000), height=st.integers(1, 4000))
def test_the_slots_of_a_ring_lie_apart_and_within_it(width: int, height: int) -> None:
    total = ring_bytes(width, height)
    room = pixel_bytes(total)
    assert room >= width * height * 3
    starts = [slot_at(number, room) for number in range(SLOTS)]
    assert starts[0] == PAGE
    assert all(b - a >= 512 + room for a, b in itertools.pairwise(starts))
    assert starts[-1] + 512 + room <= total


@given(
    state=st.sampled_from(CameraState),
    sensor=st.booleans(),
    kind=st.text(max_size=20),
    detail=st.text(max_size=900),
)
def test_the_state_in_a_ring_is_read_as_it_was_written(
    state: CameraState, sensor: bool, kind: str, detail: str
) -> None:
    told = unpack_state(pack_state(Told(state, sensor, kind, detail)))
    assert (told.state, told.sensor) == (state, sensor)
    if len(detail.encode()) <= 1024 and len(kind.encode()) <= 32:
        assert (told.kind, told.detail) == (kind, detail)
