from collections.abc import Iterable
from itertools import accumulate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.core.camera.pace import SECOND_NS, Gate, Pace

RATES = st.floats(min_value=0.1, max_value=1000.0)
DELAYS = st.lists(st.integers(min_value=0, max_value=5 * SECOND_NS), max_size=50)


@given(RATES, DELAYS)
def test_numbers_grow_and_each_frame_stands_where_the_schedule_puts_it(
    rate_fps: float, delays_ns: list[int]
) -> None:
    pace, now_ns, last = Pace(rate_fps), 1000, -1
    pace.begin(now_ns)
    for delay_ns in delays_ns:
        now_ns += delay_ns
        due = pace.due(now_ns)
        assert due.index > last
        assert due.at_ns == 1000 + round(due.index * SECOND_NS / rate_fps)
        if due.at_ns < now_ns:
            assert now_ns - due.at_ns <= SECOND_NS / rate_fps + 1
        last, now_ns = due.index, max(now_ns, due.at_ns)


@given(DELAYS)
def test_at_rate_zero_every_asking_gives_the_next_number_now(delays_ns: list[int]) -> None:
    pace, now_ns = Pace(0), 0
    pace.begin(now_ns)
    for index, delay_ns in enumerate(delays_ns):
        now_ns += delay_ns
        due = pace.due(now_ns)
        assert (due.index, due.at_ns) == (index, now_ns)


def through(gate: Gate, instants_ns: Iterable[int]) -> list[int]:
    """Of these instants, those at which the gate was open and was gone through."""
    taken = []
    for now_ns in instants_ns:
        if gate.open(now_ns):
            gate.passed(now_ns)
            taken.append(now_ns)
    return taken


@given(
    st.floats(0.1, 1000.0),
    st.lists(st.integers(0, 2 * SECOND_NS), min_size=1, max_size=60),
)
def test_over_no_span_do_more_pass_than_the_rate_allows(fps_max: float, gaps_ns: list[int]) -> None:
    taken = through(Gate(fps_max, 0), accumulate(gaps_ns))
    for first, begin_ns in enumerate(taken):
        for last, end_ns in enumerate(taken[first:], first):
            assert last - first + 1 < (end_ns - begin_ns) / SECOND_NS * fps_max + 2.001


@pytest.mark.parametrize(("fps_max", "of_100_fps"), [(100.0, 1000), (40.0, 400), (3.0, 30), (1000.0, 1000)])
def test_a_stream_that_comes_a_little_late_still_gets_its_rate(fps_max: float, of_100_fps: int) -> None:
    instants = [tick * SECOND_NS // 100 + (tick * 7919) % 3_000_000 for tick in range(1000)]
    assert len(through(Gate(fps_max, 0), instants)) == pytest.approx(of_100_fps, rel=0.02)


def test_a_gate_without_a_rate_is_open_and_one_of_rate_zero_is_shut() -> None:
    assert through(Gate(None, 0), [0, 0, 1]) == [0, 0, 1]
    assert through(Gate(0.0, 0), [0, SECOND_NS]) == []


def test_a_silence_is_not_caught_up() -> None:
    assert through(Gate(1.0, 0), [0, 10 * SECOND_NS, 10 * SECOND_NS + 1, 11 * SECOND_NS]) == [
        0,
        10 * SECOND_NS,
        11 * SECOND_NS,
    ]
