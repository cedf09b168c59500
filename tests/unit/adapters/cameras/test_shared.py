"""The ring in one process: two ends of the same memory, and a writer that stops at any point."""

import os
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime

import numpy as np
import pytest

from agent.adapters.cameras.shared.camera import SharedCamera
from agent.adapters.cameras.shared.memory import allocate, bell
from agent.adapters.cameras.shared.writer import RingWriter
from agent.core.camera.frames import Frame
from agent.core.camera.ring import NEWEST, SLOTS, TURNS_AT, Told, slot_at
from agent.wire.errors import CameraBusy, CameraFailed, CameraFrozen
from agent.wire.reports import CameraState

WIDTH, HEIGHT = 64, 48


class SystemTime:
    def now(self) -> datetime:
        return datetime.fromtimestamp(time.time(), UTC)

    def monotonic_ns(self) -> int:
        return time.monotonic_ns()

    def synchronized(self) -> bool:
        return True


class Ring:
    def __init__(self) -> None:
        self.memory, self.bell = allocate(WIDTH, HEIGHT), bell()
        self.writer = RingWriter(self.memory, [self.bell])
        self.camera = SharedCamera(self.memory, self.bell, "main", SystemTime(), read_s=0.3)

    def close(self) -> None:
        self.camera.close()
        self.writer.close()
        os.close(self.memory)
        os.close(self.bell)

    def restart_writer(self) -> None:
        self.writer.close()
        self.writer = RingWriter(self.memory, [self.bell])


@pytest.fixture
def ring() -> Iterator[Ring]:
    ring = Ring()
    yield ring
    ring.close()


def frame(sequence: int, height: int = HEIGHT, width: int = WIDTH) -> Frame:
    pixels = np.full((height, width, 3), sequence % 251, np.uint8)
    at = datetime(2026, 3, 4, 5, 6, 7, 890_123, tzinfo=UTC)
    return Frame(pixels, sequence, 1_000 + sequence, at, f"frame-{sequence}.jpg")


def test_a_frame_is_read_as_it_was_laid(ring: Ring) -> None:
    ring.camera.open()
    laid = frame(7, 30, 40)
    ring.writer.lay(laid)
    seen = ring.camera.read()
    assert (seen.pixels == laid.pixels).all()
    assert (seen.captured_ns, seen.captured_at, seen.name) == (laid.captured_ns, laid.captured_at, laid.name)
    assert seen.pixels.shape == (30, 40, 3)


def test_a_late_reader_gets_the_newest_frame_and_none_twice(ring: Ring) -> None:
    ring.camera.open()
    for sequence in range(3 * SLOTS):
        ring.writer.lay(frame(sequence))
    assert ring.camera.read().sequence == 3 * SLOTS - 1
    with pytest.raises(CameraFrozen, match="gave no frame"):
        ring.camera.read()


def test_what_came_before_it_was_opened_is_not_shown(ring: Ring) -> None:
    ring.writer.lay(frame(0))
    ring.camera.open()
    with pytest.raises(CameraFrozen):
        ring.camera.read()
    ring.writer.lay(frame(1))
    assert ring.camera.read().sequence == 1


def test_numbers_go_on_when_another_writer_takes_over(ring: Ring) -> None:
    ring.camera.open()
    for sequence in range(5):
        ring.writer.lay(frame(sequence))
    ring.restart_writer()
    ring.writer.lay(frame(0))
    assert ring.camera.read().sequence == 5


def test_a_writer_killed_in_the_middle_of_a_frame_leaves_no_half_of_it(ring: Ring) -> None:
    ring.camera.open()
    ring.writer.lay(frame(0))
    at = slot_at(2, ring.writer._pixel_bytes)
    NEWEST.pack_into(ring.writer._memory, at, 2)
    ring.writer._memory[at + 512 : at + 1512] = b"\xff" * 1000
    seen = ring.camera.read()
    assert (seen.sequence, seen.pixels.max()) == (0, 0)
    ring.restart_writer()
    ring.writer.lay(frame(0))
    assert ring.camera.read().sequence == 1


def test_a_frame_that_is_overwritten_while_it_is_copied_is_not_shown(ring: Ring) -> None:
    ring.camera.open()
    ring.writer.lay(frame(0))
    NEWEST.pack_into(ring.writer._memory, slot_at(1, ring.writer._pixel_bytes), 1 + SLOTS)
    with pytest.raises(CameraFrozen):
        ring.camera.read()


@pytest.mark.parametrize(
    ("state", "kind"),
    [
        (CameraState.LOST, CameraFailed),
        (CameraState.BUSY, CameraBusy),
        (CameraState.FROZEN, CameraFrozen),
    ],
)
def test_what_the_feeder_says_reaches_the_reader_at_once(
    ring: Ring, state: CameraState, kind: type[CameraFailed]
) -> None:
    ring.writer.say(Told(CameraState.LIVE, sensor=True, kind="v4l2", detail=""))
    ring.camera.open()
    assert ring.camera.sensor
    ring.writer.say(Told(state, sensor=True, kind="v4l2", detail="unplugged; plug it in"))
    began = time.monotonic()
    with pytest.raises(kind, match="unplugged; plug it in") as failure:
        ring.camera.read()
    assert type(failure.value) is kind
    assert time.monotonic() - began < 0.2


def test_a_writer_killed_while_it_says_something_holds_nobody_up(ring: Ring) -> None:
    ring.writer.say(Told(CameraState.LIVE, sensor=True, kind="v4l2", detail=""))
    ring.camera.open()
    NEWEST.pack_into(ring.writer._memory, TURNS_AT, 3)
    ring.writer.lay(frame(0))
    assert ring.camera.read().sequence == 0
    ring.restart_writer()
    ring.writer.say(Told(CameraState.LOST, sensor=True, kind="v4l2", detail="gone"))
    with pytest.raises(CameraFailed, match="gone"):
        ring.camera.read()


def test_without_a_feeder_it_does_not_open() -> None:
    memory, rings = allocate(8, 8), bell()
    try:
        with pytest.raises(CameraFailed, match="does not start"):
            SharedCamera(memory, rings, "main", SystemTime(), read_s=0.05).open()
    finally:
        os.close(memory)
        os.close(rings)


def test_a_frame_that_does_not_fit_is_refused_with_its_size(ring: Ring) -> None:
    with pytest.raises(CameraFailed, match=r"640x480 px, more than asked for; set camera.width_px"):
        ring.writer.lay(frame(0, 480, 640))


def test_under_a_writer_that_never_rests_every_frame_read_is_whole_and_newer_than_the_last(
    ring: Ring,
) -> None:
    ring.camera.open()
    done = threading.Event()

    def write() -> None:
        sequence = 0
        while not done.is_set():
            ring.writer.lay(frame(sequence))
            sequence += 1

    writer = threading.Thread(target=write)
    writer.start()
    try:
        last, until = -1, time.monotonic() + 1.0
        while time.monotonic() < until:
            seen = ring.camera.read()
            assert seen.sequence > last
            assert (seen.pixels == seen.sequence % 251).all()
            assert seen.name == f"frame-{seen.sequence}.jpg"
            last = seen.sequence
    finally:
        done.set()
        writer.join(5)
    assert last > 50
