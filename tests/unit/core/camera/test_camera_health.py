import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.core.camera.health import (
    STREAMED,
    Glance,
    Health,
    Limits,
    Turn,
    answers_within_s,
    patience_s,
    silent_after_s,
)
from agent.core.camera.pictures import glance
from agent.wire.reports import CAMERA_OUT, CameraState

LIMITS = Limits()
SECOND = 1_000_000_000
BLACK = Glance(b"black", 0.0)


class Story:
    """A camera over time: what is said of it, each with its second."""

    def __init__(self, rate_fps: float = 10.0, limits: Limits = LIMITS) -> None:
        self.health, self.now_s, self.step_s = Health(rate_fps, limits, 0), 0.0, 1 / (rate_fps or 10.0)
        self.turns: list[Turn] = []
        self._pictures = 0

    @property
    def now_ns(self) -> int:
        return round(self.now_s * SECOND)

    def note(self, turn: Turn | None) -> None:
        if turn is not None:
            self.turns.append(turn)

    def frames(self, seconds: float, seen: Glance | None = None, *, rate_fps: float | None = None) -> None:
        """Moving pictures, or this one again and again."""
        until = self.now_s + seconds
        while self.now_s < until - 1e-9:
            self.now_s += 1 / rate_fps if rate_fps else self.step_s
            self._pictures += 1
            picture = seen or Glance(self._pictures.to_bytes(4, "big"), 100.0)
            self.note(self.health.frame(self.now_ns, picture))

    def fails(self, state: CameraState = CameraState.LOST) -> None:
        self.note(self.health.failed(self.now_ns, state, "unplugged"))

    def states(self) -> list[CameraState]:
        return [turn.state for turn in self.turns]


def test_the_first_frame_makes_it_live() -> None:
    story = Story()
    story.frames(5.0)
    assert story.turns == [Turn(CameraState.LIVE, "", 0.1)]


def test_a_lost_camera_is_back_only_after_it_has_given_frames_for_a_while() -> None:
    story = Story()
    story.frames(5.0)
    for _ in range(20):
        story.fails()
        story.now_s += 1.0
        story.health.opened()
        story.frames(0.5)
    assert story.states() == [CameraState.LIVE, CameraState.LOST]
    story.frames(1.0)
    assert story.states()[-1] is CameraState.LIVE
    assert story.turns[-1].lasted_s == pytest.approx(20 * 1.5 + 0.6, abs=0.2)


def test_one_picture_again_and_again_is_frozen_until_opening_anew_gives_others() -> None:
    story = Story()
    story.frames(3.0)
    story.frames(19.5, Glance(b"still", 90.0))
    assert story.states() == [CameraState.LIVE]
    story.frames(1.0, Glance(b"still", 90.0))
    assert story.states()[-1] is CameraState.FROZEN
    assert story.health.repeats(story.now_ns)
    story.health.opened()
    assert not story.health.repeats(story.now_ns)
    story.frames(10.0, Glance(b"still", 90.0))
    assert story.states()[-1] is CameraState.FROZEN
    story.frames(0.5)
    assert story.states()[-1] is CameraState.LIVE
    assert len(story.turns) == 3


def test_a_lost_camera_that_sees_a_still_scene_is_back_all_the_same() -> None:
    story = Story()
    story.frames(3.0)
    story.fails()
    story.health.opened()
    story.frames(3.0, Glance(b"still", 90.0))
    assert story.states() == [CameraState.LIVE, CameraState.LOST, CameraState.LIVE]


def test_one_other_picture_than_the_one_it_froze_at_is_enough_and_a_relapse_is_told() -> None:
    story = Story()
    story.frames(3.0)
    for still in (b"one", b"two"):
        story.frames(21.0, Glance(still, 90.0))
        assert story.states()[-1] is CameraState.FROZEN
        story.health.opened()
        story.frames(5.0, Glance(still, 90.0))
        assert story.states()[-1] is CameraState.FROZEN
        story.frames(3.0, Glance(b"a little " + still, 90.0))
        assert story.states()[-1] is CameraState.LIVE


def test_a_sensor_that_is_blinded_shows_no_noise_and_is_not_frozen() -> None:
    story = Story()
    story.frames(3.0)
    story.frames(120.0, Glance(b"\xff" * 500 + b"\x00" * 268, 166.0))
    assert story.states() == [CameraState.LIVE]


def test_a_network_cameras_still_scene_is_no_fault_between_two_key_frames() -> None:
    story = Story(limits=STREAMED)
    story.frames(3.0)
    story.frames(240.0, Glance(b"still", 90.0))
    assert story.states() == [CameraState.LIVE]
    story.frames(61.0, Glance(b"still", 90.0))
    assert story.states()[-1] is CameraState.FROZEN


@given(st.floats(0.001, 120.0))
def test_a_camera_that_can_time_out_does_before_its_driver_counts_as_hung(rate_fps: float) -> None:
    assert 1 / rate_fps < answers_within_s(rate_fps) < silent_after_s(rate_fps, LIMITS)


def test_black_pictures_are_black_and_not_frozen_and_a_gleam_does_not_end_it() -> None:
    story = Story()
    story.frames(2.0)
    story.frames(120.0, BLACK)
    assert story.states() == [CameraState.LIVE, CameraState.BLACK]
    assert not story.health.repeats(story.now_ns)
    story.frames(2.0, Glance(b"gleam", LIMITS.lit_above - 1))
    assert story.states()[-1] is CameraState.BLACK
    story.frames(0.2)
    assert story.states()[-1] is CameraState.LIVE


def test_a_short_darkness_is_no_news() -> None:
    story = Story()
    story.frames(2.0)
    for _ in range(10):
        story.frames(3.0, BLACK)
        story.frames(0.1)
    assert story.states() == [CameraState.LIVE]


def test_far_fewer_frames_than_asked_for_is_slow_with_its_numbers_and_has_hysteresis() -> None:
    story = Story()
    story.frames(20.0)
    story.frames(25.0, rate_fps=4.0)
    assert story.turns[-1].state is CameraState.SLOW
    assert story.turns[-1].detail.endswith("of 10 frames a second")
    story.frames(60.0, rate_fps=6.0)
    assert story.states()[-1] is CameraState.SLOW
    story.frames(25.0, rate_fps=8.0)
    assert story.states()[-1] is CameraState.LIVE


def test_frames_that_nobody_read_count_as_given() -> None:
    story = Story()
    for _ in range(60):
        story.now_s += 0.5
        picture = Glance(str(story.now_s).encode(), 99.0)
        story.note(story.health.frame(story.now_ns, picture, frames=5))
    assert story.states() == [CameraState.LIVE]


@pytest.mark.parametrize("rate_fps", [0.02, 0.1, 1.0, 30.0, 0.0])
def test_a_camera_at_its_own_rate_is_live_however_slow_that_is(rate_fps: float) -> None:
    story = Story(rate_fps)
    story.frames(400.0)
    assert story.states() == [CameraState.LIVE]


def test_photographs_say_nothing_about_health() -> None:
    health = Health(10.0, LIMITS, 0)
    turns = [health.frame(second * SECOND, None) for second in range(1, 1000)]
    assert [turn.state for turn in turns if turn] == [CameraState.LIVE]


@given(
    st.lists(
        st.one_of(
            st.sampled_from([CameraState.LOST, CameraState.BUSY, CameraState.FROZEN]),
            st.tuples(st.floats(0.1, 40.0), st.sampled_from([None, BLACK, Glance(b"still", 90.0)])),
        ),
        max_size=12,
    )
)
def test_whatever_happens_each_turn_is_news_its_durations_add_up_and_good_frames_heal(
    happenings: list[CameraState | tuple[float, Glance | None]],
) -> None:
    story = Story()
    for happening in happenings:
        if isinstance(happening, CameraState):
            story.fails(happening)
            story.health.opened()
        else:
            story.frames(*happening)
    story.health.opened()
    story.frames(3.0)
    assert story.states()[-1] is CameraState.LIVE
    assert all(a is not b for a, b in itertools.pairwise(story.states()))
    last_s = sum(turn.lasted_s for turn in story.turns)
    assert last_s <= story.now_s + 1e-6
    assert CameraState.OPENING not in story.states()
    assert story.health.state not in CAMERA_OUT


def test_two_frames_of_a_noisy_sensor_differ_at_a_glance_and_two_of_a_photograph_do_not() -> None:
    noise = np.random.default_rng(3)
    still = np.full((480, 640, 3), 120, np.uint8)
    noisy = [still + noise.integers(0, 3, still.shape, np.uint8) for _ in range(2)]
    assert glance(noisy[0]) != glance(noisy[1])
    assert glance(still) == glance(still.copy())
    assert len(glance(still).pixels) == 768
    assert glance(still).mean == pytest.approx(120)


@pytest.mark.parametrize("shape", [(1, 1), (2, 300), (224, 224), (17, 31), (1080, 1920)])
def test_a_glance_of_any_size_of_picture_is_small(shape: tuple[int, int]) -> None:
    assert 0 < len(glance(np.zeros((*shape, 3), np.uint8)).pixels) <= 768


def test_patience_follows_the_rhythm_and_never_falls_below_its_least() -> None:
    assert patience_s(10.0, 1) == 10.0
    assert patience_s(0.0, 50) == 10.0
    assert patience_s(0.05, 1) > 60.0
    assert patience_s(10.0, 1000) > 300.0
    assert silent_after_s(0.05, LIMITS) == 60.0
    assert silent_after_s(30.0, LIMITS) == LIMITS.silent_s
