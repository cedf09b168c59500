"""A camera that is kept running, over a clock that the test owns where no thread has to hang."""

from collections.abc import Callable
from threading import Event, Thread

import numpy as np
import pytest

from agent.core.camera.frames import Frame
from agent.core.camera.health import Limits
from agent.loops.child.choice import FirstThatWorks
from agent.loops.child.source import Source
from agent.ports.camera import Camera
from agent.wire.errors import CameraBusy, CameraFailed, CameraFrozen
from agent.wire.ipc import CameraTurned
from agent.wire.reports import CameraState
from tests.fakes.clock import FakeClock

DEADLINE_S = 5.0


class TimedCamera:
    """Each read takes a tenth of a second of the test's clock and does the next thing on its list: a grey
    level, or an error. After the last one the story ends.
    """

    on_demand, sensor, kind, note = False, True, "timed", "as told"

    def __init__(self, clock: FakeClock, script: list[int | CameraFailed], end: Callable[[], None]) -> None:
        self._clock, self._script, self._end = clock, script, end
        self.refusals: list[CameraFailed] = []
        self.opened = 0
        self._sequence = -1

    def open(self) -> None:
        if self.refusals:
            raise self.refusals.pop(0)
        self.opened += 1

    def read(self) -> Frame:
        self._clock.advance(0.1)
        step = self._script.pop(0)
        if not self._script:
            self._end()
        if isinstance(step, CameraFailed):
            raise step
        self._sequence += 1
        pixels = np.full((48, 64, 3), step, np.uint8)
        return Frame(pixels, self._sequence, self._clock.monotonic_ns(), self._clock.now())

    def close(self) -> None:
        pass


class Story:
    def __init__(self, script: list[int | CameraFailed], *, sensor: bool = True) -> None:
        self.clock, self.said, self.attempts = FakeClock(), list[CameraTurned](), list[int]()
        self.camera = TimedCamera(self.clock, script, self._end)
        self.camera.sensor = sensor
        self.source = Source(self.camera, self.clock, self.said.append, self._delay_s, rate_fps=10.0)
        self.taken: list[Frame] = []

    def _end(self) -> None:
        self.source.stop()

    def _delay_s(self, attempt: int) -> float:
        self.attempts.append(attempt)
        return 0.0

    def run(self) -> list[CameraState]:
        self.source.run(lambda frame, _: self.taken.append(frame), lambda: None)
        return [turned.state for turned in self.said]


def moving(frames: int) -> list[int | CameraFailed]:
    return [50 + index % 100 for index in range(frames)]


def test_each_kind_of_failure_has_its_state_and_is_told_once() -> None:
    gone, silent = CameraFailed("unplugged; plug it in"), CameraFrozen("silent; look")
    story = Story([*moving(20), gone, *moving(20), silent, *moving(20)])
    assert story.run() == [
        CameraState.OPENING,
        CameraState.LIVE,
        CameraState.LOST,
        CameraState.LIVE,
        CameraState.FROZEN,
        CameraState.LIVE,
    ]
    assert story.said[2].detail == "unplugged; plug it in"
    assert story.said[1].detail == "as told"
    assert {turned.kind for turned in story.said} == {"timed"}


def test_a_camera_that_cannot_be_opened_is_tried_ever_more_rarely_until_it_works_for_a_while() -> None:
    story = Story([*moving(15), CameraFailed("gone"), *moving(3)])
    story.camera.refusals = [
        CameraBusy("taken"),
        CameraBusy("taken"),
        CameraFailed("gone"),
        CameraFailed("x"),
    ]
    states = story.run()
    assert states == [
        CameraState.OPENING,
        CameraState.BUSY,
        CameraState.LOST,
        CameraState.LIVE,
        CameraState.LOST,
    ]
    assert story.attempts == [0, 1, 2, 3, 0]


def test_a_frozen_picture_makes_it_open_the_camera_anew() -> None:
    story = Story([*moving(10), *([99] * 230), *moving(30)])
    assert story.run() == [CameraState.OPENING, CameraState.LIVE, CameraState.FROZEN, CameraState.LIVE]
    assert story.camera.opened == 2


def test_a_folder_of_photographs_may_show_one_as_long_as_it_likes() -> None:
    story = Story([99] * 400, sensor=False)
    assert story.run() == [CameraState.OPENING, CameraState.LIVE]
    assert (story.camera.opened, len(story.taken)) == (1, 400)


class HangingCamera:
    on_demand, sensor, kind, note = False, True, "hanging", ""

    def __init__(self, *, in_open: bool) -> None:
        self._in_open = in_open
        self.hangs, self.release = Event(), Event()

    def _hang(self) -> None:
        self.hangs.set()
        assert self.release.wait(DEADLINE_S)
        raise CameraFailed("released")

    def open(self) -> None:
        if self._in_open:
            self._hang()

    def read(self) -> Frame:
        self._hang()
        raise AssertionError

    def close(self) -> None:
        pass


@pytest.mark.parametrize(("in_open", "after_s"), [(False, Limits().silent_s), (True, Limits().opening_s)])
def test_a_driver_that_does_not_return_is_noticed_from_outside_and_told_once(
    in_open: bool, after_s: float
) -> None:
    clock, said = FakeClock(), list[CameraTurned]()
    camera = HangingCamera(in_open=in_open)
    source = Source(camera, clock, said.append, lambda _: 0.0, rate_fps=10.0)
    thread = Thread(target=source.run, args=(lambda *_: None, lambda: None))
    thread.start()
    try:
        assert camera.hangs.wait(DEADLINE_S)
        clock.advance(after_s - 0.1)
        source.watch()
        assert [turned.state for turned in said] == [CameraState.OPENING]
        clock.advance(0.2)
        source.watch()
        source.watch()
        assert [(turned.state, turned.stuck) for turned in said[1:]] == [(CameraState.FROZEN, True)]
        assert f"not answered for {after_s:.0f} s" in said[1].detail
    finally:
        source.stop()
        camera.release.set()
        thread.join(DEADLINE_S)


class TestFirstThatWorks:
    def candidates(
        self, clock: FakeClock, *scripts: list[int | CameraFailed]
    ) -> list[tuple[str, Callable[[], Camera]]]:
        def make(index: int) -> Callable[[], Camera]:
            return lambda: TimedCamera(clock, list(scripts[index]), lambda: None)

        return [(f"camera-{index}", make(index)) for index in range(len(scripts))]

    def test_it_takes_the_first_that_gives_a_frame_and_says_why_not_the_others(self) -> None:
        clock = FakeClock()
        found = self.candidates(
            clock, [CameraFailed("it is not installed; install it"), 1], moving(9), moving(9)
        )
        camera = FirstThatWorks(lambda: found)
        camera.open()
        assert (camera.kind, camera.sensor) == ("timed", True)
        assert camera.note == "as told · not camera-0: it is not installed"
        assert [camera.read().sequence for _ in range(3)] == [0, 1, 2]
        camera.close()
        camera.open()
        assert [camera.read().sequence for _ in range(3)] == [3, 4, 5]

    @pytest.mark.parametrize(
        ("failures", "kind", "said"),
        [
            (
                [CameraFailed("a; b"), CameraFailed("c; d")],
                CameraFailed,
                "no camera works (camera-0: a · camera-1: c); ",
            ),
            (
                [CameraBusy("taken; stop it"), CameraFailed("c; d")],
                CameraBusy,
                "no camera is free (camera-0: taken",
            ),
            ([], CameraFailed, "there is no camera; plug one in"),
        ],
    )
    def test_where_none_works_all_the_reasons_are_told(
        self, failures: list[CameraFailed], kind: type[CameraFailed], said: str
    ) -> None:
        found = self.candidates(FakeClock(), *([failure, 1] for failure in failures))
        with pytest.raises(kind) as failure:
            FirstThatWorks(lambda: found).open()
        assert said in str(failure.value)
        assert type(failure.value) is kind
