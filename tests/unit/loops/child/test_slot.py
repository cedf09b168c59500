from collections.abc import Callable
from threading import Thread
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from agent.core.camera.frames import Frame
from agent.loops.child.loading import Loaded
from agent.loops.child.slot import LEAD, REFRESH, SLACK_NS, Ready, Slot
from tests.fakes.clock import FakeClock

NOBODY = cast("Loaded", SimpleNamespace())
PRE_MS = 10.0


def frame(sequence: int) -> Frame:
    clock = FakeClock()
    return Frame(np.zeros((1, 1, 3), np.uint8), sequence, clock.monotonic_ns(), clock.now())


def ready(of: Frame, pre_ms: float = PRE_MS) -> Ready:
    return Ready(of, np.zeros(1), NOBODY, capture_ms=0.0, pre_ms=pre_ms)


class Scene:
    """A slot whose three threads are played by the test, on a clock that it owns."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.slot = Slot(self.clock)

    def due_in_ms(self) -> float | None:
        in_ns = self.slot._due_in_ns()
        return None if in_ns is None else in_ns / 1e6

    def prepare(self, pre_ms: float = PRE_MS) -> int:
        due = self.slot.due()
        assert due is not None
        self.slot.bring(ready(due, pre_ms))
        return due.sequence

    def take(self) -> int | None:
        taken = self.slot.take(0)
        return None if taken is None else taken.frame.sequence

    def answer(self, sequence: int, busy_ms: float) -> None:
        """One frame from the camera to its answer."""
        self.slot.offer(frame(sequence))
        self.prepare()
        assert self.take() == sequence
        self.clock.advance(busy_ms / 1000)
        assert self.take() is None

    def occupy(self, sequence: int) -> None:
        """The model has begun to compute this frame."""
        self.slot.offer(frame(sequence))
        self.prepare()
        assert self.take() == sequence


@pytest.fixture
def scene() -> Scene:
    return Scene()


def test_a_frame_is_due_at_once_while_the_model_waits(scene: Scene) -> None:
    assert scene.due_in_ms() is None
    scene.slot.offer(frame(1))
    assert scene.due_in_ms() == 0
    assert scene.prepare() == 1
    assert scene.take() == 1
    assert scene.take() is None


def test_the_freshest_frame_is_prepared_and_the_ones_before_it_are_drops(scene: Scene) -> None:
    for sequence in range(4):
        scene.slot.offer(frame(sequence))
    assert scene.prepare() == 3
    assert scene.slot.dropped == 3


def test_frames_that_the_camera_lost_are_drops(scene: Scene) -> None:
    scene.slot.offer(frame(5), skipped=4)
    assert scene.slot.dropped == 4


def test_for_a_busy_model_a_frame_is_due_shortly_before_it_is_expected_to_be_free(scene: Scene) -> None:
    for sequence in range(100):
        scene.answer(sequence, busy_ms=200.0)
    scene.occupy(100)
    scene.slot.offer(frame(101))
    due_in_ms = scene.due_in_ms()
    assert due_in_ms is not None
    assert due_in_ms == pytest.approx(200.0 - LEAD * PRE_MS - SLACK_NS / 1e6, abs=0.1)


def test_a_model_that_gets_faster_is_believed_at_once(scene: Scene) -> None:
    for sequence in range(100):
        scene.answer(sequence, busy_ms=200.0)
    scene.answer(100, busy_ms=30.0)
    scene.occupy(101)
    scene.slot.offer(frame(102))
    assert scene.due_in_ms() == pytest.approx(30.0 - LEAD * PRE_MS - SLACK_NS / 1e6)


def test_a_prepared_frame_that_waits_long_is_replaced_by_a_fresher_one(scene: Scene) -> None:
    scene.slot.offer(frame(1))
    scene.prepare()
    scene.slot.offer(frame(2))
    assert scene.due_in_ms() == REFRESH * PRE_MS
    scene.slot.offer(frame(3))
    scene.clock.advance(REFRESH * PRE_MS / 1000)
    assert scene.prepare() == 3
    assert scene.slot.dropped == 2
    assert scene.take() == 3


@pytest.mark.parametrize(
    ("wait", "wake"),
    [
        (lambda slot: slot.take(60), lambda slot: slot.nudge()),
        (lambda slot: slot.take(60), lambda slot: slot.close()),
        (lambda slot: slot.due(), lambda slot: slot.close()),
    ],
)
def test_who_waits_can_be_let_go(
    scene: Scene, wait: Callable[[Slot], Any], wake: Callable[[Slot], None]
) -> None:
    results: list[Any] = []
    waiter = Thread(target=lambda: results.append(wait(scene.slot)))
    waiter.start()
    wake(scene.slot)
    waiter.join(5.0)
    assert results == [None]


def test_a_preparation_that_had_to_wait_for_a_core_makes_no_later_frame_older(scene: Scene) -> None:
    scene.answer(1, 100.0)
    scene.slot.offer(frame(2))
    scene.prepare(pre_ms=20 * PRE_MS)
    scene.slot.offer(frame(3))
    in_ms = scene.due_in_ms()
    assert in_ms is not None
    assert in_ms < REFRESH * 20 * PRE_MS / 4


def test_a_frame_is_wanted_once_the_last_one_has_been_taken_for_preparation(scene: Scene) -> None:
    scene.slot.wait_wanted()
    scene.slot.offer(frame(1))
    waiter = Thread(target=scene.slot.wait_wanted)
    waiter.start()
    waiter.join(0.02)
    assert waiter.is_alive()
    scene.prepare()
    waiter.join(5.0)
    assert not waiter.is_alive()


def test_under_a_limited_rate_the_first_frame_that_comes_when_one_may_is_the_next(scene: Scene) -> None:
    scene.slot.pace(10.0)
    scene.slot.offer(frame(1))
    assert scene.due_in_ms() == 0
    scene.prepare()
    scene.slot.offer(frame(2))
    assert scene.take() == 1
    scene.clock.advance(0.03)
    assert scene.take() is None
    scene.slot.offer(frame(3))
    assert scene.due_in_ms() is None
    scene.clock.advance(0.07)
    assert scene.due_in_ms() is None
    scene.slot.offer(frame(4))
    assert scene.prepare() == 4
    assert scene.take() == 4
    assert scene.slot.dropped == 2


def test_a_rate_that_does_not_bind_changes_nothing(scene: Scene) -> None:
    scene.slot.pace(100.0)
    for sequence in range(100):
        scene.answer(sequence, busy_ms=200.0)
    scene.occupy(100)
    scene.clock.advance(0.01)
    scene.slot.offer(frame(101))
    assert scene.due_in_ms() == pytest.approx(190.0 - LEAD * PRE_MS - SLACK_NS / 1e6, abs=0.1)
    assert scene.slot.dropped == 0


def test_while_paused_nothing_is_due_and_what_waits_is_dropped(scene: Scene) -> None:
    scene.slot.offer(frame(1))
    due = scene.slot.due()
    assert due is not None
    scene.slot.offer(frame(2))
    scene.slot.pace(0.0)
    scene.slot.bring(ready(due))
    assert scene.take() is None
    scene.slot.offer(frame(3))
    assert scene.due_in_ms() is None
    scene.slot.pace(None)
    assert scene.due_in_ms() is None
    assert scene.slot.dropped == 3
    scene.slot.offer(frame(4))
    assert scene.prepare() == 4
    assert scene.take() == 4


def test_a_camera_on_demand_is_read_only_when_the_rate_allows_a_frame(scene: Scene) -> None:
    scene.slot.pace(0.0)
    waiter = Thread(target=scene.slot.wait_wanted)
    waiter.start()
    waiter.join(0.02)
    assert waiter.is_alive()
    scene.slot.pace(5.0)
    waiter.join(5.0)
    assert not waiter.is_alive()
