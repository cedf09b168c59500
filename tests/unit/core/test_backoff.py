import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.core.backoff import delay_s


@pytest.mark.parametrize(
    ("attempt", "chance", "seconds"),
    [
        (0, 0.0, 0.0),
        (0, 0.5, 0.5),
        (1, 0.5, 1.0),
        (3, 0.25, 2.0),
        (6, 0.5, 30.0),
        (100_000, 0.5, 30.0),
    ],
)
def test_the_ceiling_doubles_up_to_the_cap(attempt, chance, seconds):
    assert delay_s(attempt, chance, base_s=1.0, cap_s=60.0) == seconds


@given(
    attempt=st.integers(0, 10_000),
    chance=st.floats(0.0, 1.0, exclude_max=True),
    base_s=st.floats(0.001, 100.0),
    cap_s=st.floats(0.001, 10_000.0),
)
def test_a_delay_is_never_negative_and_never_reaches_beyond_the_cap(attempt, chance, base_s, cap_s):
    assert 0.0 <= delay_s(attempt, chance, base_s=base_s, cap_s=cap_s) <= cap_s


@given(attempt=st.integers(0, 100), chance=st.floats(0.0, 1.0, exclude_max=True))
def test_more_failures_never_shorten_the_delay(attempt, chance):
    delays = [delay_s(n, chance, base_s=0.5, cap_s=60.0) for n in (attempt, attempt + 1)]
    assert delays == sorted(delays)
