from hypothesis import given
from hypothesis import strategies as st

from agent.core.pace import SECOND_NS, Pace

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
