"""Whether the answers of a release have changed: the population stability index of two distributions.

    PSI = sum over classes of (p - q) ln(p / q)

It is the symmetric Kullback-Leibler divergence of what is seen (p) and its reference (q). That it is small
below 0.1 and large from 0.25 on is the convention of N. Siddiqi, Credit Risk Scorecards, Wiley 2006. Each
class is given half a sight more than it was seen, so that one that is new or gone counts and does not make it
infinite. Two samples of the very same kind differ, too: with n and m independent sights and B classes their
index is distributed as (1/n + 1/m) chi-square with B - 1 degrees of freedom (B. Yurdakul and J. Naranjo,
Statistical properties of the population stability index, Journal of Risk Model Validation 14, 2020). What
lies below its 99th percentile is no drift.

Frames of a camera are not independent: a car that stands there for a minute is in 600 of them, and is one
sight. How many frames make one is read off the reference, by how far its successive hours differ beyond what
independent frames would: the overdispersion of P. McCullagh and J. Nelder, Generalized Linear Models, 1989,
section 4.5, with the differences of neighbours (J. von Neumann, Annals of Mathematical Statistics 12, 1941),
which a day's rhythm disturbs little.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from deploy.core.page.series import Drift
from deploy.core.page.series_sums import top

SHIFTING_FROM: Final = 0.1
DRIFTED_FROM: Final = 0.25
FRAMES_MIN: Final = 200
SIGHTS_MIN: Final = 20
CLASSES_COMPARED: Final = 32
"""The others together are one more."""
LEAST: Final = 2
"""Of classes, for there to be a distribution."""
_Z99: Final = 2.326_347_9


@dataclass(frozen=True, slots=True)
class Verdict:
    drift: Drift
    psi: float | None = None
    noise: float | None = None
    """What chance exceeds once in a hundred times."""


def compare(seen: Sequence[int], reference: Sequence[int], frames: float = 1.0) -> Verdict:
    """
    Args:
        seen: the counts of some classes.
        reference: of the same classes.
        frames: that make one sight, at least 1.
    """
    n, m = sum(seen), sum(reference)
    if min(n, m) < max(FRAMES_MIN, SIGHTS_MIN * frames):
        return Verdict(Drift.TOO_FEW)
    psi = index([each / frames for each in seen], [each / frames for each in reference])
    noise = _noise(n / frames, m / frames, len(seen))
    if psi <= max(noise, SHIFTING_FROM):
        return Verdict(Drift.STEADY, psi, noise)
    return Verdict(Drift.DRIFTED if psi >= DRIFTED_FROM else Drift.SHIFTING, psi, noise)


def compare_labels(seen: Mapping[str, int], reference: Mapping[str, int], frames: float = 1.0) -> Verdict:
    """By the labels that are frequent here or there, whichever was watched for longer."""
    shares: dict[str, float] = defaultdict(float)
    for counts in (seen, reference):
        whole = sum(counts.values())
        for label, n in counts.items():
            shares[label] += n / whole if n else 0.0
    labels = top(shares, CLASSES_COMPARED)
    return compare(columns(seen, labels), columns(reference, labels), frames)


def frames_a_label(spans: Iterable[Mapping[str, int]]) -> float:
    """As `frames_a_sight`, of labels."""
    every = tuple(spans)
    whole: dict[str, float] = defaultdict(float)
    for span in every:
        for label, n in span.items():
            whole[label] += n
    labels = top(whole, CLASSES_COMPARED)
    return frames_a_sight([columns(span, labels) for span in every])


def frames_a_sight(spans: Sequence[Sequence[int]]) -> float:
    """At least 1, which is also of a single span; the counts of the same classes in successive spans."""
    whole = sum(map(sum, spans))
    shares = [sum(counts) / whole for counts in zip(*spans, strict=True)] if whole else []
    there = [(place, share) for place, share in enumerate(shares) if share]
    pairs = [(a, b) for a, b in pairwise(spans) if any(a) and any(b)]
    if len(there) < LEAST or not pairs:
        return 1.0
    apart = math.fsum(_apart(a, b, there) for a, b in pairs)
    return max(1.0, apart / len(pairs) / (len(there) - 1))


def _apart(a: Sequence[int], b: Sequence[int], there: Sequence[tuple[int, float]]) -> float:
    """Chi-square of two spans: of independent frames, on average one less than there are classes."""
    n, m = sum(a), sum(b)
    return math.fsum((a[place] / n - b[place] / m) ** 2 / share for place, share in there) / (1 / n + 1 / m)


def columns(counts: Mapping[str, int], labels: Sequence[str]) -> tuple[int, ...]:
    """The counts of these labels, and last of all the others."""
    named = tuple(counts.get(label, 0) for label in labels)
    return *named, sum(counts.values()) - sum(named)


def index(seen: Sequence[float], reference: Sequence[float]) -> float:
    p, q = _shares(seen), _shares(reference)
    return math.fsum((a - b) * math.log(a / b) for a, b in zip(p, q, strict=True))


def _shares(counts: Sequence[float]) -> list[float]:
    whole = sum(counts) + 0.5 * len(counts)
    return [(n + 0.5) / whole for n in counts]


def _noise(n: float, m: float, classes: int) -> float:
    """The 99th percentile of chi-square by Wilson and Hilferty (PNAS 17, 1931)."""
    k = max(classes - 1, 1)
    chi2 = k * (1 - 2 / (9 * k) + _Z99 * math.sqrt(2 / (9 * k))) ** 3
    return (1 / n + 1 / m) * chi2
