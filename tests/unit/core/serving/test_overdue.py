from hypothesis import given
from hypothesis import strategies as st

from agent.core.serving.overdue import OVERDUE_MAX_S, OVERDUE_MIN_S, limit_s

TIMES_MS = st.floats(0, 1e6)


@given(TIMES_MS, TIMES_MS)
def test_a_slower_model_is_waited_for_longer_within_bounds(one_ms: float, other_ms: float) -> None:
    fast, slow = sorted((one_ms, other_ms))
    assert OVERDUE_MIN_S <= limit_s(fast) <= limit_s(slow) <= OVERDUE_MAX_S


@given(st.floats(0, 2000))
def test_an_invocation_may_take_several_times_as_long_as_the_slowest_of_late(slowest_ms: float) -> None:
    assert limit_s(slowest_ms) >= 4 * slowest_ms / 1000
