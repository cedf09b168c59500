import math

import msgspec
import numpy as np
import pytest
from ddsketch import DDSketch
from hypothesis import given
from hypothesis import strategies as st

from agent.core.telemetry.latency import (
    RELATIVE_ACCURACY,
    Sketch,
    merge,
    nearest_rank,
    percentiles,
    quantile,
)
from agent.wire.errors import Malformed
from agent.wire.reports import Histogram, Percentiles

DURATIONS = st.lists(st.floats(-1.0, 1e6), max_size=60)
EMPTY = Histogram(relative_accuracy=RELATIVE_ACCURACY, count=0, zeros=0, sum=0.0, min=0.0, max=0.0, bins={})


def gathered(values) -> Histogram:
    sketch = Sketch()
    for value in values:
        sketch.add(value)
    return sketch.to_document()


def counted(histogram: Histogram):
    """All but the sum, which depends on the order in which floats are added."""
    return (histogram.count, histogram.zeros, histogram.min, histogram.max, histogram.bins)


@pytest.mark.parametrize("seed", [1, 2])
def test_quantiles_of_many_values_are_within_one_percent_of_the_exact_ones(seed):
    values = np.random.default_rng(seed).lognormal(mean=2.0, sigma=1.0, size=100_000)
    histogram = gathered(values.tolist())
    for share in (0.0, 0.01, 0.5, 0.95, 0.99, 0.999, 1.0):
        exact = float(np.quantile(values, share, method="lower"))
        assert quantile(histogram, share) == pytest.approx(exact, rel=RELATIVE_ACCURACY)


@given(DURATIONS, DURATIONS)
def test_merged_histograms_are_the_histogram_of_all_values(one, other):
    both, whole = merge([gathered(one), gathered(other)]), gathered([*one, *other])
    assert counted(both) == counted(whole)
    assert both.sum == pytest.approx(whole.sum)


@given(DURATIONS)
def test_a_histogram_survives_the_wire(values):
    histogram = gathered(values)
    assert msgspec.json.decode(msgspec.json.encode(histogram), type=Histogram) == histogram


@given(st.lists(st.floats(1e-6, 1e9), min_size=1, max_size=60), st.floats(0.0, 1.0))
def test_quantiles_agree_with_the_library(values, share):
    """The answer is the library's, but never outside of what was measured."""
    library = DDSketch(RELATIVE_ACCURACY)
    for value in values:
        library.add(value)
    expected = min(max(library.get_quantile_value(share), min(values)), max(values))
    assert quantile(gathered(values), share) == pytest.approx(expected, rel=1e-9)


def test_zero_and_steps_back_of_the_clock_count_as_zero():
    assert gathered([0.0, -3.5, 1e-320]) == Histogram(
        relative_accuracy=RELATIVE_ACCURACY, count=3, zeros=3, sum=1e-320, min=0.0, max=1e-320, bins={}
    )


def test_nothing_measured_is_zero_and_can_be_sent():
    assert gathered([]) == EMPTY == merge([])
    assert percentiles(EMPTY) == Percentiles(p50=0.0, p95=0.0, p99=0.0)


def test_an_empty_histogram_does_not_pull_the_minimum_down():
    assert merge([EMPTY, gathered([5.0, 7.0])]).min == 5.0


def test_the_smallest_of_few_is_their_median_of_two():
    assert percentiles(gathered([10.0, 1000.0])) == Percentiles(
        p50=pytest.approx(10.0, rel=0.01),
        p95=pytest.approx(10.0, rel=0.01),
        p99=pytest.approx(10.0, rel=0.01),
    )


def test_histograms_of_different_accuracies_are_refused():
    with pytest.raises(Malformed, match=r"relative accuracies \[0.01, 0.02\] cannot be merged"):
        merge([gathered([1.0]), Sketch(0.02).to_document()])


@pytest.mark.parametrize("key", [10**12, -(10**12)])
def test_a_strangers_absurd_bins_are_answered_within_their_own_bounds(key):
    absurd = Histogram(relative_accuracy=0.01, count=1, zeros=0, sum=3.0, min=3.0, max=3.0, bins={key: 1})
    assert percentiles(merge([absurd, absurd])) == Percentiles(p50=3.0, p95=3.0, p99=3.0)


@given(st.lists(st.floats(allow_nan=False), min_size=1), st.floats(0.001, 1.0))
def test_the_nearest_rank_is_the_smallest_value_that_suffices(values, share):
    found = nearest_rank(values, share)
    needed = math.ceil(share * len(values))
    assert sum(value <= found for value in values) >= needed
    assert sum(value < found for value in values) < needed


def test_none_has_no_rank():
    with pytest.raises(ValueError, match="among none"):
        nearest_rank([], 0.5)
