"""How long things take: sketches that merge exactly, so that percentiles are never averaged.

A value v > 0 falls into the bin k = ceil(log(v) / log(gamma)), gamma = (1 + a) / (1 - a), and is answered
as 2 gamma^k / (gamma + 1), which is off by at most the share a.
Source: Masson, Rim, Lee: DDSketch, VLDB 2019; the bins are those of the ddsketch library.
"""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet
from typing import Final

from ddsketch.mapping import LogarithmicMapping
from ddsketch.store import DenseStore

from agent.wire.errors import Malformed
from agent.wire.reports import Histogram, Percentiles

RELATIVE_ACCURACY: Final = 0.01

_LOG_MAX: Final = 700.0
"""exp() of more would overflow; bins come from other people's documents."""


class Sketch:
    """Durations in milliseconds, gathered. Not for several threads at once."""

    def __init__(self, relative_accuracy: float = RELATIVE_ACCURACY) -> None:
        self._mapping = LogarithmicMapping(relative_accuracy)
        self._store = DenseStore()
        self._zeros = 0
        self._sum = 0.0
        self._min = math.inf
        self._max = 0.0

    def add(self, ms: float) -> None:
        """Count one duration; a clock that stepped back counts as zero."""
        value = max(ms, 0.0)
        if value > self._mapping.min_possible:
            self._store.add(self._mapping.key(value))
        else:
            self._zeros += 1
        self._sum += value
        self._min = min(self._min, value)
        self._max = max(self._max, value)

    def to_document(self) -> Histogram:
        offset = self._store.offset
        return Histogram(
            relative_accuracy=self._mapping.relative_accuracy,
            count=int(self._store.count) + self._zeros,
            zeros=self._zeros,
            sum=self._sum,
            min=0.0 if math.isinf(self._min) else self._min,
            max=self._max,
            bins={offset + place: int(n) for place, n in enumerate(self._store.bins) if n},
        )


def merge(histograms: Iterable[Histogram]) -> Histogram:
    """One histogram of all that these have counted; an empty one of none.

    Raises:
        Malformed: they have different accuracies, so their bins do not fit each other.
    """
    of_all = tuple(histograms)
    filled = [histogram for histogram in of_all if histogram.count]
    bins: Counter[int] = Counter()
    for histogram in filled:
        bins.update(histogram.bins)
    return Histogram(
        relative_accuracy=_same_accuracy({histogram.relative_accuracy for histogram in of_all}),
        count=sum(histogram.count for histogram in filled),
        zeros=sum(histogram.zeros for histogram in filled),
        sum=math.fsum(histogram.sum for histogram in filled),
        min=min((histogram.min for histogram in filled), default=0.0),
        max=max((histogram.max for histogram in filled), default=0.0),
        bins=dict(sorted(bins.items())),
    )


def percentiles(histogram: Histogram) -> Percentiles:
    return Percentiles(
        p50=quantile(histogram, 0.50), p95=quantile(histogram, 0.95), p99=quantile(histogram, 0.99)
    )


def quantile(histogram: Histogram, share: float) -> float:
    """The duration in ms below which this share in [0, 1] lies, within the accuracy; 0 of none."""
    key = _bin_at(histogram, share * (histogram.count - 1))
    value = 0.0 if key is None else value_of(key, histogram.relative_accuracy)
    return min(max(value, histogram.min), histogram.max)


def _bin_at(histogram: Histogram, rank: float) -> int | None:
    """The bin that the value of this rank lies in; None: it is among the zeros."""
    seen, found = histogram.zeros, None
    if seen > rank:
        return None
    for key, n in sorted(histogram.bins.items()):
        seen, found = seen + n, key
        if seen > rank:
            break
    return found


def nearest_rank(values: Sequence[float], share: float) -> float:
    """The smallest of these values such that at least this share in (0, 1] of them is no greater.

    Raises:
        ValueError: there are no values.
    """
    if not values:
        raise ValueError("no value has a rank among none")
    return sorted(values)[max(math.ceil(share * len(values)), 1) - 1]


def value_of(key: int, accuracy: float) -> float:
    """The duration in ms that stands for a bin: off by at most the accuracy from any that it counts."""
    log_gamma = math.log1p(2 * accuracy / (1 - accuracy))
    return math.exp(max(min(key * log_gamma, _LOG_MAX), -_LOG_MAX)) * (1 - accuracy)


def _same_accuracy(accuracies: AbstractSet[float]) -> float:
    if len(accuracies) > 1:
        raise Malformed(f"histograms of relative accuracies {sorted(accuracies)} cannot be merged: use one")
    return next(iter(accuracies), RELATIVE_ACCURACY)
