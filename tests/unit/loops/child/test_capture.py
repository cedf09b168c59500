"""What becomes of a camera's frames before a model sees them."""

import time
from datetime import UTC, datetime
from threading import Thread

import numpy as np
import pytest

from agent.core.camera.frames import Frame
from agent.core.camera.health import Limits
from agent.loops.child.capture import Capture, Taking
from agent.loops.child.slot import Slot
from agent.wire.errors import CameraFailed
from agent.wire.ipc import CameraTurned
from agent.wire.reports import CameraState
from tests.fakes.camera import ScriptedCamera
from tests.fakes.clock import FakeClock

DEADLINE_S = 5.0


class SystemTime(FakeClock):
    def monotonic_ns(self) -> int:
        return time.monotonic_ns()


class Recorder(Slot):
    """Keeps what it is offered."""

    def __init__(self, clock: FakeClock) -> None:
        super().__init__(clock)
        self.offered: list[tuple[int, int]] = []
        self.shapes: set[tuple[int, ...]] = set()

    def offer(self, frame: Frame, *, skipped: int = 0) -> None:
        self.offered.append((frame.sequence, skipped))
        self.shapes.add(frame.pixels.shape)


def frame(sequence: int) -> Frame:
    pixels = np.zeros((4, 6, 3), np.uint8)
    pixels[0, 0] = 255
    return Frame(pixels, sequence, sequence, datetime.fromtimestamp(0, UTC))


class Bench:
    def __init__(self, taking: Taking) -> None:
        self.camera, clock = ScriptedCamera(), SystemTime()
        self.slot, self.said = Recorder(clock), list[CameraTurned]()
        self.capture = Capture(self.camera, clock, self.slot, self.said.append, taking)
        self.capture._loaded = object()

    def play(self, *sequences: int) -> None:
        self.camera.feed(*(frame(sequence) for sequence in sequences), CameraFailed("the script is over"))
        thread = Thread(target=self.capture.run)
        thread.start()
        try:
            until = time.monotonic() + DEADLINE_S
            while not any(turned.state is CameraState.LOST for turned in self.said):
                assert time.monotonic() < until
                time.sleep(0.005)
        finally:
            self.capture.stop()
            self.camera.feed(CameraFailed("the test is over"))
            thread.join(DEADLINE_S)


@pytest.mark.parametrize(
    ("every_nth", "sequences", "offered"),
    [
        (1, [0, 1, 2, 5], [(0, 0), (1, 0), (2, 0), (5, 2)]),
        (3, range(8), [(0, 0), (3, 0), (6, 0)]),
        (3, [0, 7, 8, 9], [(0, 0), (7, 1), (9, 0)]),
        (100, range(99), [(0, 0)]),
    ],
)
def test_one_frame_of_so_many_is_offered_and_only_those_that_were_due_count_as_dropped(
    every_nth: int, sequences: list[int], offered: list[tuple[int, int]]
) -> None:
    bench = Bench(Taking(lambda _: 0.0, every_nth=every_nth))
    bench.play(*sequences)
    assert bench.slot.offered == offered
    assert bench.capture.frames == max(sequences) + 1


def test_frames_are_turned_before_anybody_sees_them() -> None:
    bench = Bench(Taking(lambda _: 0.0, rotate_deg=90))
    bench.play(0)
    assert bench.slot.shapes == {(6, 4, 3)}
    assert bench.capture.newest is not None
    assert bench.capture.newest.pixels[0, -1].tolist() == [255, 255, 255]


def test_a_camera_that_never_answers_is_told_as_stuck() -> None:
    bench = Bench(Taking(lambda _: 0.0, limits=Limits(silent_s=0.05)))
    thread = Thread(target=bench.capture.run)
    thread.start()
    try:
        until = time.monotonic() + DEADLINE_S
        while not any(turned.stuck for turned in bench.said):
            assert time.monotonic() < until
            bench.capture.watch()
            time.sleep(0.005)
    finally:
        bench.capture.stop()
        bench.camera.feed(CameraFailed("the test is over"))
        thread.join(DEADLINE_S)
    assert [turned.state for turned in bench.said[:2]] == [CameraState.OPENING, CameraState.FROZEN]
