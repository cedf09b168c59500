"""The controller over replayed temperatures, and against a simulated SoC."""

import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.core.camera.pace import SECOND_NS
from agent.core.telemetry.thermal import DOWN_AFTER_S, UP_AFTER_S, Hold, Rules, control, reason

RULES = Rules(step_down_at_c=80.0, step_up_below_c=72.0, floor_fps=1.0)
READ_S = 2
TEMPERATURES = st.lists(st.one_of(st.none(), st.floats(20.0, 110.0)), max_size=200)


def replay(trace_c: list[float | None], wanted_fps: float, rules: Rules = RULES) -> list[Hold]:
    """The holds of a trace that is read every two seconds, where a hold is obeyed at once."""
    hold, holds = Hold(), []
    for number, soc_c in enumerate(trace_c):
        fps = wanted_fps if hold.fps_max is None else min(wanted_fps, hold.fps_max)
        hold = control(hold, rules, soc_c, fps, number * READ_S * SECOND_NS)
        holds.append(hold)
    return holds


def test_a_hot_soc_takes_the_rate_down_in_steps_and_a_cool_one_up_again_until_it_is_free() -> None:
    down, between, up = [82.0] * 11, [75.0] * 40, [65.0] * 40
    rates = [hold.fps_max for hold in replay([60.0] * 3 + down + between + up, 20.0)]
    assert rates[:3] == [None] * 3
    assert rates[3] == 15.0
    assert rates[13] == pytest.approx(20.0 * 0.75**3)
    assert set(rates[14:54]) == {rates[13]}
    assert rates[-1] is None


@given(TEMPERATURES, st.floats(0.0, 100.0))
def test_the_rate_is_never_held_below_the_floor_nor_above_what_it_was(
    trace_c: list[float | None], wanted_fps: float
) -> None:
    for hold in replay(trace_c, wanted_fps):
        if hold.fps_max is not None:
            assert RULES.floor_fps <= hold.fps_max < wanted_fps


@given(TEMPERATURES, st.floats(1.5, 100.0))
def test_no_step_comes_sooner_than_the_heat_can_follow_the_last(
    trace_c: list[float | None], wanted_fps: float
) -> None:
    holds, changed = replay(trace_c, wanted_fps), []
    for number in range(1, len(holds)):
        before, now = holds[number - 1].fps_max, holds[number].fps_max
        if before != now:
            changed.append((number * READ_S, now is not None and (before is None or now < before)))
    for (one_s, _), (other_s, lower) in pairwise(changed):
        assert other_s - one_s >= (DOWN_AFTER_S if lower else UP_AFTER_S)


@given(TEMPERATURES)
def test_whatever_happened_a_cool_soc_is_free_in_the_end(trace_c: list[float | None]) -> None:
    steps = math.ceil(math.log(50.0) / math.log(1 / 0.75)) + 1
    cool: list[float | None] = [60.0] * round(steps * UP_AFTER_S / READ_S + 1)
    assert replay(trace_c + cool, 50.0)[-1].fps_max is None


@given(st.lists(st.floats(72.0, 79.99), max_size=100))
def test_between_the_thresholds_nothing_changes(trace_c: list[float]) -> None:
    assert {hold.fps_max for hold in replay([85.0, *trace_c], 20.0)} == {15.0}


@pytest.mark.parametrize(
    ("rules", "soc_c", "fps"),
    [
        (Rules(step_down_at_c=0.0), 100.0, 20.0),
        (RULES, None, 20.0),
        (RULES, 100.0, 0.0),
        (RULES, 100.0, 1.0),
    ],
)
def test_nothing_is_held_where_it_may_not_or_could_not_help(
    rules: Rules, soc_c: float | None, fps: float
) -> None:
    assert control(Hold(), rules, soc_c, fps, 0) == Hold()


def test_a_rate_below_the_hold_is_lowered_from_what_it_really_is() -> None:
    hold = control(Hold(), RULES, 85.0, 40.0, 0)
    assert control(hold, RULES, 85.0, 8.0, 20 * SECOND_NS).fps_max == 6.0


def test_the_reason_names_the_temperature_and_both_thresholds() -> None:
    hold = control(Hold(), RULES, 82.34, 20.0, 0)
    assert reason(hold, RULES) == (
        "the SoC had 82.3 °C: from 80 °C on fewer frames are classified, below 72 °C more again"
    )
    assert reason(Hold(), RULES) == ""


def test_a_soc_that_would_reach_95_degrees_settles_between_the_thresholds() -> None:
    """One time constant of 60 s; 35 °C idle and 2 °C more for every frame a second."""
    soc_c, hold, wanted_fps, seen = 35.0, Hold(), 30.0, []
    for second in range(0, 3600, READ_S):
        fps = wanted_fps if hold.fps_max is None else min(wanted_fps, hold.fps_max)
        soc_c += (35.0 + 2.0 * fps - soc_c) * (1 - math.exp(-READ_S / 60.0))
        hold = control(hold, RULES, soc_c, fps, second * SECOND_NS)
        seen.append((soc_c, fps))
    settled = seen[300:]
    assert max(soc_c for soc_c, _ in settled) < 83.0
    assert sum(fps for _, fps in settled) / len(settled) > 15.0
