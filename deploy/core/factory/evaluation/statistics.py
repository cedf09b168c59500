"""What a count of pictures can tell, and what it cannot."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Final

import numpy as np
from numpy.typing import NDArray

CONFIDENCE: Final = 0.95
SIGNIFICANT: Final = 0.05
"""The probability below which a difference is called one."""
POWER: Final = 0.8
"""With which a difference ought to be found, where pictures are counted that would be needed."""
BINS: Final = 15
"""Of a reliability diagram (Guo et al. 2017, section 5)."""

_NORMAL: Final = NormalDist()


@dataclass(frozen=True, slots=True)
class Interval:
    low: float
    high: float


def wilson(successes: int, trials: int, confidence: float = CONFIDENCE) -> Interval:
    """The score interval of a share: right near 0 and 1 and for few trials, where the usual one is not.

    Source: Wilson 1927; method 3 of Newcombe, "Two-sided confidence intervals for the single proportion",
    Statistics in Medicine 17 (1998).

    Args:
        successes: 0 to `trials`.
        trials: 0 leaves everything open, from 0 to 1.
        confidence: share of such intervals that hold the true share.
    """
    if trials == 0:
        return Interval(0.0, 1.0)
    z = _quantile(confidence)
    share = successes / trials
    centre = (share + z * z / (2 * trials)) / (1 + z * z / trials)
    half = z / (1 + z * z / trials) * math.sqrt(share * (1 - share) / trials + z * z / (4 * trials * trials))
    # At the ends the two terms are equal but for their last digit.
    low = 0.0 if successes == 0 else max(0.0, centre - half)
    high = 1.0 if successes == trials else min(1.0, centre + half)
    return Interval(low, high)


def mcnemar(only_first: int, only_second: int) -> float:
    """The probability that two equally good models differ at least so much on the same pictures.

    Exact and two-sided: of the pictures that only one of them gets right, each is the first's with
    probability 1/2.

    Source: McNemar 1947; the exact form as in Agresti, "Categorical Data Analysis", section 10.1.

    Args:
        only_first: pictures that the first model got right and the second wrong.
        only_second: the other way round.
    """
    trials = only_first + only_second
    tail = ways = 1
    for count in range(min(only_first, only_second)):
        # Each number of ways from the one before: worked out anew, thousands of pictures take minutes.
        ways = ways * (trials - count) // (count + 1)
        tail += ways
    # Integers are divided: the number of outcomes may be beyond every float.
    return min(1.0, 2 * tail / (1 << trials))


def holm(probabilities: Sequence[float]) -> tuple[float, ...]:
    """The probabilities of several tests, each adjusted so that the chance of one false alarm among them all
    stays what it is for a single one.

    Source: Holm, "A simple sequentially rejective multiple test procedure", 1979.
    """
    count, highest = len(probabilities), 0.0
    adjusted = [0.0] * count
    for rank, place in enumerate(sorted(range(count), key=probabilities.__getitem__)):
        highest = max(highest, min(1.0, (count - rank) * probabilities[place]))
        adjusted[place] = highest
    return tuple(adjusted)


def paired_difference(
    only_first: int, only_second: int, pictures: int, confidence: float = CONFIDENCE
) -> Interval:
    """How much better the first model is than the second, in shares of the same pictures.

    Source: Bonett and Price, "Adjusted Wald confidence interval for a difference of binomial proportions
    based on paired data", Journal of Educational and Behavioral Statistics 37 (2012).
    """
    first, second = (only_first + 1) / (pictures + 2), (only_second + 1) / (pictures + 2)
    half = _quantile(confidence) * math.sqrt((first + second - (first - second) ** 2) / (pictures + 2))
    return Interval(max(-1.0, first - second - half), min(1.0, first - second + half))


def pictures_needed(
    only_first: int, only_second: int, pictures: int, significance: float = SIGNIFICANT
) -> int | None:
    """About how many pictures would show the difference that was seen here, if it is the true one.

    Source: Connor, "Sample size for testing differences in proportions for the paired-sample design",
    Biometrics 43 (1987), with a power of 80 %; never so few that the exact test (`mcnemar`) could not tell.

    Args:
        only_first: pictures that the first model got right and the second wrong.
        only_second: the other way round.
        pictures: all of them.
        significance: of the test; a share of the whole where it is one of several.

    Returns:
        None where no difference was seen: no number of pictures shows what is not there.
    """
    if only_first == only_second or pictures == 0:
        return None
    disagreeing = (only_first + only_second) / pictures
    difference = (only_first - only_second) / pictures
    error = _quantile(1 - significance) * math.sqrt(disagreeing)
    missed = _NORMAL.inv_cdf(POWER) * math.sqrt(max(0.0, disagreeing - difference**2))
    # All disagreements on one side, n of them, have a probability of 2 / 2^n.
    least = math.ceil(1 - math.log2(significance))
    return max(math.ceil(((error + missed) / difference) ** 2), math.ceil(least / disagreeing))


def _quantile(confidence: float) -> float:
    return _NORMAL.inv_cdf(0.5 + confidence / 2)


@dataclass(frozen=True, slots=True)
class Bin:
    """Of the predictions whose confidence lies above `above` and at most at `upto`."""

    above: float
    upto: float
    count: int
    confidence: float
    """Their mean; 0 where there are none."""
    accuracy: float
    """The share of them that was right; same."""


def reliability(
    confidences: NDArray[np.float64], right: NDArray[np.bool_], bins: int = BINS
) -> tuple[Bin, ...]:
    """How often predictions of a confidence are right, in bins of equal width.

    Args:
        confidences: score of the first class, one a picture; what lies outside 0 to 1 counts at the end.
        right: whether that class was the right one.
        bins: how many.
    """
    # A bin holds its upper end (Guo et al. 2017, section 2).
    where = np.clip(np.ceil(np.asarray(confidences) * bins) - 1, 0, bins - 1).astype(np.int64)
    return tuple(
        Bin(
            above=index / bins,
            upto=(index + 1) / bins,
            count=int(inside.sum()),
            confidence=float(confidences[inside].mean()) if inside.any() else 0.0,
            accuracy=float(right[inside].mean()) if inside.any() else 0.0,
        )
        for index in range(bins)
        for inside in [where == index]
    )


def calibration_error(bins: tuple[Bin, ...]) -> float:
    """The distance of confidence and accuracy, weighted by the pictures of each bin; 0 is best.

    Source: expected calibration error, equation 3 of Guo et al., "On Calibration of Modern Neural Networks",
    ICML 2017.
    """
    total = sum(each.count for each in bins)
    if total == 0:
        return 0.0
    return sum(each.count * abs(each.accuracy - each.confidence) for each in bins) / total


def quantile(values: NDArray[np.float64], share: float) -> float:
    """The smallest value that at least this share of the values does not exceed."""
    return float(np.quantile(values, share, method="inverted_cdf"))
