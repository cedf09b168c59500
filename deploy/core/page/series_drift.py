"""Whether the answers of a release have changed: the population stability index of two distributions.

    PSI = sum over classes of (p - q) ln(p / q)

It is the symmetric Kullback-Leibler divergence of what is seen (p) and its reference (q). That it is small
below 0.1 and large from 0.25 on is the convention of N. Siddiqi, Credit Risk Scorecards, Wiley 2006. Each
class is given half a frame more than it was seen, so that one that is new or gone counts and does not make it
infinite. Two samples of the very same kind differ, too: with n and m independent frames and B classes their
index is distributed as (1/n + 1/m) chi-square with B - 1 degrees of freedom (B. Yurdakul and J. Naranjo,
Statistical properties of the population stability index, Journal of Risk Model Validation 14, 2020). What
lies below its 99th percentile is no drift. Frames of a camera resemble those before them, so this is the
least that chance does.
"""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from deploy.core.page.series import Drift
from deploy.core.page.series_sums import top

SHIFTING_FROM: Final = 0.1
DRIFTED_FROM: Final = 0.25
FRAMES_MIN: Final = 200
CLASSES_COMPARED: Final = 32
"""The others together are one more."""
_Z99: Final = 2.326_347_9


@dataclass(frozen=True, slots=True)
class Verdict:
    drift: Drift
    psi: float | None = None
    noise: float | None = None
    """What chance exceeds once in a hundred times."""


def compare(seen: Sequence[int], reference: Sequence[int]) -> Verdict:
    """The counts of the same classes, here and in the reference."""
    n, m = sum(seen), sum(reference)
    if min(n, m) < FRAMES_MIN:
        return Verdict(Drift.TOO_FEW)
    psi, noise = index(seen, reference), _noise(n, m, len(seen))
    if psi <= max(noise, SHIFTING_FROM):
        return Verdict(Drift.STEADY, psi, noise)
    return Verdict(Drift.DRIFTED if psi >= DRIFTED_FROM else Drift.SHIFTING, psi, noise)


def compare_labels(seen: Mapping[str, int], reference: Mapping[str, int]) -> Verdict:
    both = Counter(seen) + Counter(reference)
    labels = top(both, CLASSES_COMPARED)
    return compare(columns(seen, labels), columns(reference, labels))


def columns(counts: Mapping[str, int], labels: Sequence[str]) -> tuple[int, ...]:
    """The counts of these labels, and last of all the others."""
    named = tuple(counts.get(label, 0) for label in labels)
    return *named, sum(counts.values()) - sum(named)


def index(seen: Sequence[int], reference: Sequence[int]) -> float:
    p, q = _shares(seen), _shares(reference)
    return math.fsum((a - b) * math.log(a / b) for a, b in zip(p, q, strict=True))


def _shares(counts: Sequence[int]) -> list[float]:
    whole = sum(counts) + 0.5 * len(counts)
    return [(n + 0.5) / whole for n in counts]


def _noise(n: int, m: int, classes: int) -> float:
    """The 99th percentile of chi-square by Wilson and Hilferty (PNAS 17, 1931)."""
    k = max(classes - 1, 1)
    chi2 = k * (1 - 2 / (9 * k) + _Z99 * math.sqrt(2 / (9 * k))) ** 3
    return (1 / n + 1 / m) * chi2
