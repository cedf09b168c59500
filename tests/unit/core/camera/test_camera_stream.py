import itertools
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.core.camera.stream import SECOND_NS, Lateness, Numbers, Thinning


def test_what_waits_in_buffers_is_late_by_as_much() -> None:
    lateness = Lateness()
    stamps = [index * SECOND_NS // 10 for index in range(100)]
    held_up_ns = [0 if index < 50 else 700_000_000 for index in range(100)]
    late = [lateness.late_ns(5 * SECOND_NS + s + h, s) for s, h in zip(stamps, held_up_ns, strict=True)]
    assert max(late[:50]) < 1e6
    assert late[-1] == pytest.approx(7e8, rel=0.01)


def test_a_drifting_clock_of_the_sender_is_no_delay() -> None:
    lateness = Lateness()
    hour = range(0, 3600 * SECOND_NS, SECOND_NS)
    assert max(lateness.late_ns(round(at * 1.0001), at) for at in hour) < 5e6


def test_a_sender_that_starts_again_is_not_late() -> None:
    lateness = Lateness()
    assert lateness.late_ns(50 * SECOND_NS, 40 * SECOND_NS) == 0
    assert lateness.late_ns(90 * SECOND_NS, 0) == 0
    assert lateness.late_ns(91 * SECOND_NS, SECOND_NS) == pytest.approx(0, abs=1e6)


@given(native=st.floats(1.0, 120.0), rate=st.floats(0.5, 60.0), seed=st.integers(0, 1000))
def test_thinning_never_gives_more_than_the_rate_and_nearly_all_it_can(
    native: float, rate: float, seed: int
) -> None:
    jitter = Random(seed)
    thinning = Thinning(rate)
    times = [(index + jitter.uniform(-0.1, 0.1)) / native for index in range(300)]
    kept = [at for at in times if thinning.wanted(at * 1e9)]
    span_s = times[-1] - times[0]
    assert len(kept) <= span_s * rate + 2
    assert len(kept) >= 0.5 * min(native, rate) * span_s - 2
    if native <= 0.8 * rate:
        assert kept == times


def test_rate_zero_thins_nothing() -> None:
    thinning = Thinning(0.0)
    assert all(thinning.wanted(at) for at in (0.0, 1.0, 1.0, 2.0))


@given(st.lists(st.integers(1, 30), min_size=1, max_size=6))
def test_numbers_only_grow_when_one_camera_takes_over_from_another(lengths: list[int]) -> None:
    numbers = Numbers()
    given_out = []
    for length in lengths:
        numbers.begin()
        given_out += [numbers.next(sequence) for sequence in range(length)]
    assert given_out == list(range(sum(lengths)))
    assert all(b > a for a, b in itertools.pairwise(given_out))
    assert Numbers(41).next(0) == 42
