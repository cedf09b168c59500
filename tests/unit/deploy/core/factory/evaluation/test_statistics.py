"""What counts of pictures tell: published values, and the laws that intervals and tests obey."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy.core.factory.evaluation import statistics

COUNTS = st.integers(0, 400)


@pytest.mark.parametrize(
    ("successes", "trials", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_the_score_interval_is_that_of_newcombes_table_1(successes, trials, low, high):
    found = statistics.wilson(successes, trials)
    assert (found.low, found.high) == pytest.approx((low, high), abs=5e-5)


@given(st.integers(1, 2000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_an_interval_holds_its_share_lies_within_0_and_1_and_mirrors(counts):
    successes, trials = counts
    found = statistics.wilson(successes, trials)
    mirrored = statistics.wilson(trials - successes, trials)
    assert 0.0 <= found.low <= successes / trials <= found.high <= 1.0
    assert found.low == pytest.approx(1 - mirrored.high, abs=1e-12)


def test_more_pictures_narrow_an_interval_and_none_leave_it_open():
    widths = [i.high - i.low for i in (statistics.wilson(n * 9 // 10, n) for n in (0, 10, 100, 1000, 10000))]
    assert widths[0] == 1.0
    assert widths == sorted(widths, reverse=True)


@pytest.mark.parametrize(
    ("first", "second", "p"),
    [
        (1, 9, 22 / 1024),
        (0, 5, 2 / 32),
        # Approval of the prime minister, asked twice: Agresti, "Categorical Data Analysis", table 10.1.
        (150, 86, 3.7163e-05),
        (0, 0, 1.0),
        (7, 7, 1.0),
    ],
)
def test_mcnemars_exact_test_gives_known_probabilities(first, second, p):
    assert statistics.mcnemar(first, second) == pytest.approx(p, rel=1e-3)


def test_mcnemars_test_counts_with_thousands_of_pictures():
    assert 0.0 <= statistics.mcnemar(5000, 4000) < 1e-20
    assert statistics.mcnemar(5000, 4999) == pytest.approx(1.0)


@given(COUNTS, COUNTS)
def test_the_test_does_not_mind_who_is_first_and_stays_a_probability(first, second):
    p = statistics.mcnemar(first, second)
    assert 0.0 <= p <= 1.0
    assert p == statistics.mcnemar(second, first)
    assert p >= statistics.mcnemar(first + 1, second) or first < second


@given(COUNTS, COUNTS, st.integers(0, 2000))
def test_the_interval_of_a_difference_turns_round_with_the_models(first, second, same):
    pictures = first + second + same
    found = statistics.paired_difference(first, second, pictures)
    turned = statistics.paired_difference(second, first, pictures)
    assert found.low <= found.high
    assert (found.low, found.high) == pytest.approx((-turned.high, -turned.low))


def test_a_tenth_of_a_point_on_a_thousand_pictures_would_need_thousands_more():
    # 11 against 10: one picture in a thousand.
    needed = statistics.pictures_needed(11, 10, 1000)
    assert needed is not None
    assert 100_000 < needed < 200_000
    assert statistics.pictures_needed(10, 10, 1000) is None


@pytest.mark.parametrize("significance", [0.05, 0.05 / 3, 0.05 / 45])
def test_pictures_needed_are_never_so_few_that_the_test_could_not_tell(significance):
    for only_first, pictures in ((1, 1), (3, 4), (20, 20)):
        needed = statistics.pictures_needed(only_first, 0, pictures, significance)
        assert needed is not None
        assert statistics.mcnemar(needed * only_first // pictures, 0) < significance


def test_one_of_several_comparisons_needs_more_pictures():
    needed = [statistics.pictures_needed(30, 10, 400, 0.05 / comparisons) for comparisons in (1, 3, 10)]
    assert needed == sorted(set(needed))


def test_pictures_needed_find_the_difference_as_often_as_promised():
    """Drawn again and again with the shares that were seen, the test finds the difference in 80 of 100."""
    chance = np.random.default_rng(5)
    needed = statistics.pictures_needed(30, 10, 400)
    draws = chance.multinomial(needed, [30 / 400, 10 / 400, 360 / 400], size=2000)
    found = np.mean([statistics.mcnemar(int(a), int(b)) < statistics.SIGNIFICANT for a, b, _ in draws])
    assert 0.72 < found < 0.88


def test_who_is_right_as_often_as_sure_has_no_calibration_error():
    confidences = np.array([0.75] * 4 + [0.5] * 2)
    right = np.array([True, True, True, False, True, False])
    assert statistics.calibration_error(statistics.reliability(confidences, right)) == pytest.approx(0.0)


def test_whoever_is_always_sure_and_half_as_often_right_is_half_wrong():
    bins = statistics.reliability(np.ones(10), np.arange(10) % 2 == 0)
    assert statistics.calibration_error(bins) == pytest.approx(0.5)
    assert [each.count for each in bins] == [0] * 14 + [10]


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=60))
def test_bins_hold_every_prediction_once_and_their_error_is_a_share(said):
    confidences = np.array([confidence for confidence, _ in said])
    right = np.array([was for _, was in said])
    bins = statistics.reliability(confidences, right)
    assert sum(each.count for each in bins) == len(said)
    assert 0.0 <= statistics.calibration_error(bins) <= 1.0
    assert math.isclose(sum(each.count * each.accuracy for each in bins), right.sum(), abs_tol=1e-9)


def test_a_bin_holds_its_upper_end_and_what_lies_outside_counts_at_the_end():
    bins = statistics.reliability(np.array([0.0, 0.2, 0.2001, 1.2]), np.ones(4, bool), bins=5)
    assert [each.count for each in bins] == [2, 1, 0, 0, 1]
