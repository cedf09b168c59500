"""How the release fares on the devices that run it, against the release before it on the same devices.

Every device weighs the same, however many frames it saw, and of three devices or more the extremes are left
out at both ends: so one that lies, or has a fault of its own, does not move what is found. What is left is
merged, and percentiles are read off merged histograms.

All of it is found one hardware class at a time: five times an Edge TPU's latency is less than a CPU's.
"""

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from statistics import fmean
from typing import Final, TypeVar

from agent.core.telemetry.latency import RELATIVE_ACCURACY, quantile
from agent.core.update.answers import label_key
from agent.wire.reports import BINS, Evidence, Histogram
from agent.wire.topics import Digest
from deploy.core.rollouts.tally import Counted, Standing
from deploy.core.rollouts.words import Finding, GatePolicy, Verdict

T = TypeVar("T")

TRIMMED_SHARE: Final = 0.1
"""Left out at each end, and never less than one device."""
TRIMMED_FROM: Final = 3
"""With fewer devices nobody can tell which one is odd."""
SURE_FROM: Final = 3
"""What a camera sees and how warm a room is changes by itself: of fewer devices that is no proof, so it holds
and does not abort."""
RESTARTS_TOLD: Final = 3
"""More of them in one device say no more."""
SIGMAS: Final = 3.0
"""So far chance goes: once in 740 times where frames are independent of each other."""
WEIGHT: Final = 1_000_000
COLDEST_C: Final = -60.0
HOTTEST_C: Final = 150.0
P95: Final = 0.95
SHORTEST_MS: Final = 0.001
"""Less cannot be told apart."""
_key = lru_cache(maxsize=4_096)(label_key)
"""A fleet names the same few labels over and over."""
TELLING: Final = frozenset({Standing.HEALTHY, Standing.PENDING, Standing.DEGRADED})


@dataclass(frozen=True, slots=True)
class Pair:
    """What one device says of both releases."""

    now: Evidence
    before: Evidence
    degraded: bool = False


@dataclass(frozen=True, slots=True)
class Measured:
    """One figure over the devices that could tell."""

    value: float
    devices: int
    least: float = -math.inf
    """What it is at least, whatever chance made of so few frames."""


def pairs(counted: Iterable[Counted], release: Digest) -> tuple[Pair, ...]:
    """Of the devices that run the release and know what it took over from."""
    reports = [(each, each.seen.report) for each in counted if each.standing in TELLING]
    return tuple(
        Pair(report.serving, report.before, degraded=each.standing is Standing.DEGRADED)
        for each, report in reports
        if report is not None
        and report.serving is not None
        and report.before is not None
        and report.serving.manifest == release != report.before.manifest
    )


def findings(of: Sequence[Pair], policy: GatePolicy, hardware: str) -> tuple[Finding, ...]:
    """What this class's devices say, in one finding a figure. Figures that nobody could tell are left out."""
    enough = [pair for pair in of if min(pair.now.frames, pair.before.frames) >= policy.frames_min]
    told = (
        _latency(enough, policy, hardware),
        _errors(enough, policy, hardware),
        _confidence(enough, policy, hardware),
        _classes(enough, policy, hardware),
        _agreement(of, policy, hardware),
        _restarts(enough, policy, hardware),
        _heat(enough, policy, hardware),
    )
    return tuple(finding for finding in told if finding is not None)


def _latency(of: Sequence[Pair], policy: GatePolicy, hardware: str) -> Finding | None:
    measured = latency_ratio(of, policy.frames_min)
    if measured is None:
        return None
    words = f"p95 of invoke is {measured.value:.2f} times that of the release before"
    against = _beyond_chance(measured, policy.latency_ratio_max)
    return _finding("latency", measured, policy.latency_ratio_max, words, hardware, against)


def _errors(of: Sequence[Pair], policy: GatePolicy, hardware: str) -> Finding | None:
    measured = errors_more(of, policy.error_share_max)
    if measured is None:
        return None
    words = f"{measured.value:.3f} more of the frames fail than under the release before"
    against = _beyond_chance(measured, policy.error_share_max)
    return _finding("errors", measured, policy.error_share_max, words, hardware, against)


def _confidence(of: Sequence[Pair], policy: GatePolicy, hardware: str) -> Finding | None:
    measured = confidence_drop(of)
    if measured is None:
        return None
    words = f"the mean best score is {measured.value:.3f} below that of the release before"
    return _finding("confidence", measured, policy.confidence_drop_max, words, hardware, _by(measured))


def _classes(of: Sequence[Pair], policy: GatePolicy, hardware: str) -> Finding | None:
    measured = class_distance(of)
    if measured is None:
        return None
    words = f"what is named differs by {measured.value:.3f} from what the release before named"
    return _finding("classes", measured, policy.class_distance_max, words, hardware, _by(measured))


def _agreement(of: Sequence[Pair], policy: GatePolicy, hardware: str) -> Finding | None:
    compared = [pair for pair in of if pair.now.shadow_frames]
    frames = sum(pair.now.shadow_frames for pair in compared)
    measured = _mean(compared, lambda pair: min(pair.now.agreed_frames / pair.now.shadow_frames, 1.0))
    if measured is None or frames < policy.frames_min:
        return None
    words = f"both releases agree on {measured.value:.3f} of {frames} frames of the trials"
    against = measured.value < policy.agreement_min
    return Finding(
        name="agreement",
        says=Verdict.ABORT if against else Verdict.PROMOTE,
        words=f"{words} ({_on(measured, hardware)}), at least {policy.agreement_min:.3f} is needed",
        value=measured.value,
        limit=policy.agreement_min,
        hardware=hardware,
    )


def _restarts(of: Sequence[Pair], policy: GatePolicy, hardware: str) -> Finding | None:
    measured = _mean(of, _restarts_more)
    if measured is None:
        return None
    words = f"the worker restarted {measured.value:.2f} times a device more than under the release before"
    return _finding("restarts", measured, policy.restarts_per_device_max, words, hardware, Verdict.ABORT)


def _heat(of: Sequence[Pair], policy: GatePolicy, hardware: str) -> Finding | None:
    rises = [
        _plausible(pair.now.soc_c_max) - _plausible(pair.before.soc_c_max)
        for pair in of
        if pair.now.soc_c_max is not None and pair.before.soc_c_max is not None
    ]
    if not rises:
        return None
    measured = Measured(fmean(trimmed(rises, float)), len(rises))
    words = f"the SoC is {measured.value:+.1f} degrees from where the release before left it"
    return _finding("heat", measured, policy.soc_c_rise_max, words, hardware, _by(measured))


def latency_ratio(of: Sequence[Pair], frames_min: int) -> Measured | None:
    """p95 now over p95 before, each off one histogram merged of the devices. What serves on less than the
    release promises is left out: it is slow for another reason. Devices leave out what they saw throttled.
    """
    timed = [
        (now, before)
        for pair in of
        if not pair.degraded
        and (now := _believed(pair.now.invoke_ms, frames_min)) is not None
        and (before := _believed(pair.before.invoke_ms, frames_min)) is not None
    ]
    kept = trimmed(timed, key=lambda both: _p95(both[0]) / _p95(both[1]))
    if not kept:
        return None
    now, before = _merged(now for now, _ in kept), _merged(before for _, before in kept)
    spread = _spread(P95, sum(now.count for now, _ in kept)), _spread(P95, sum(b.count for _, b in kept))
    least = _ms(now, P95 - spread[0]) / _ms(before, min(P95 + spread[1], 1.0))
    return Measured(_p95(now) / _p95(before), len(timed), least)


def errors_more(of: Sequence[Pair], limit: float) -> Measured | None:
    """How much larger the share of frames is that fail. Chance is what it is where the limit is just met."""
    measured = _mean(of, lambda pair: _error_share(pair.now) - _error_share(pair.before))
    if measured is None:
        return None
    met = min(fmean(_error_share(pair.before) for pair in of) + limit, 1.0)
    return replace(measured, least=measured.value - _spread(met, sum(pair.now.frames for pair in of)))


def _spread(share: float, of: int) -> float:
    """How far the share of so many that was found may lie from the true one (normal approximation)."""
    return SIGMAS * math.sqrt(share * (1.0 - share) / of)


def confidence_drop(of: Sequence[Pair]) -> Measured | None:
    """How far the mean best score has fallen; below 0: it has risen."""
    scored = [pair for pair in of if _scored(pair.now.confidence) and _scored(pair.before.confidence)]
    return _mean(scored, lambda pair: _score(pair.before.confidence) - _score(pair.now.confidence))


def class_distance(of: Sequence[Pair]) -> Measured | None:
    """Total variation distance between what both releases named, in [0, 1], beyond what chance explains.

    Two samples of one distribution differ too: by sqrt(p (1-p) (1/n + 1/m) / (2 pi)), summed over the labels,
    on the average (half the mean absolute value of a normal difference of two shares).

    Where they have no label in common the release has other labels, and that is no distance; but if it names
    one single thing, where the one before named several, it is blind.
    """
    named = [(_shares(pair.now), _shares(pair.before), pair) for pair in of]
    telling = [(now, before, pair) for now, before, pair in named if now and before]
    kept = trimmed(telling, key=lambda each: _distance(each[0], each[1]))
    if not kept:
        return None
    now, before = _mixed(now for now, _, _ in kept), _mixed(before for _, before, _ in kept)
    if now.keys().isdisjoint(before):
        return Measured(1.0, len(telling)) if len(now) == 1 < len(before) else None
    chance = _chance(now, before, [pair for _, _, pair in kept])
    return Measured(max(_distance(now, before) - chance, 0.0), len(telling))


def trimmed(values: Sequence[T], key: Callable[[T], float]) -> list[T]:
    """In the order of their keys, without the extremes at both ends."""
    ordered = sorted(values, key=key)
    if len(ordered) < TRIMMED_FROM:
        return ordered
    left_out = max(1, int(len(ordered) * TRIMMED_SHARE))
    return ordered[left_out:-left_out]


def _mean(of: Sequence[Pair], figure: Callable[[Pair], float]) -> Measured | None:
    kept = trimmed([figure(pair) for pair in of], float)
    return Measured(fmean(kept), len(of)) if kept else None


def _finding(
    name: str, measured: Measured, limit: float, words: str, hardware: str, against: Verdict
) -> Finding:
    return Finding(
        name=name,
        says=against if measured.value > limit else Verdict.PROMOTE,
        words=f"{words} ({_on(measured, hardware)}), at most {limit:g} is allowed",
        value=measured.value,
        limit=limit,
        hardware=hardware,
    )


def _on(measured: Measured, hardware: str) -> str:
    return f"{measured.devices} {hardware} device{'s' if measured.devices != 1 else ''}"


def _by(measured: Measured) -> Verdict:
    """What a change of the scene could explain is looked at by a person where few devices show it."""
    return Verdict.ABORT if measured.devices >= SURE_FROM else Verdict.HOLD


def _beyond_chance(measured: Measured, limit: float) -> Verdict:
    """What so few frames could show by chance is looked at until there are more."""
    return Verdict.ABORT if measured.least > limit else Verdict.HOLD


def _error_share(of: Evidence) -> float:
    return min(of.errors / of.frames, 1.0)


def _plausible(soc_c: float) -> float:
    """What a sensor could say; a number out of all bounds would overflow the mean."""
    return min(max(soc_c, COLDEST_C), HOTTEST_C)


def _restarts_more(pair: Pair) -> float:
    """Than were to be expected over as many frames."""
    expected = pair.before.restarts * pair.now.frames / pair.before.frames
    return min(pair.now.restarts, RESTARTS_TOLD) - min(expected, RESTARTS_TOLD)


def _believed(histogram: Histogram | None, count_min: int) -> Histogram | None:
    """The same by its bins alone: what a device says of their sum is not taken for true."""
    if histogram is None or histogram.relative_accuracy != RELATIVE_ACCURACY:
        return None
    count = histogram.zeros + sum(histogram.bins.values())
    return _of_bins(histogram.zeros, histogram.bins, count) if count >= max(count_min, 1) else None


def _merged(histograms: Iterable[Histogram]) -> Histogram:
    """Each weighs the same, whatever its count: WEIGHT."""
    zeros, bins = 0.0, defaultdict[int, float](float)
    for histogram in histograms:
        share = WEIGHT / histogram.count
        zeros += histogram.zeros * share
        for key, n in histogram.bins.items():
            bins[key] += n * share
    rounded = {key: round(n) for key, n in bins.items()}
    return _of_bins(round(zeros), rounded, round(zeros) + sum(rounded.values()))


def _of_bins(zeros: int, bins: dict[int, int], count: int) -> Histogram:
    return Histogram(
        relative_accuracy=RELATIVE_ACCURACY,
        count=count,
        zeros=zeros,
        sum=0.0,
        min=0.0,
        max=math.inf,
        bins=bins,
    )


def _p95(histogram: Histogram) -> float:
    return _ms(histogram, P95)


def _ms(histogram: Histogram, share: float) -> float:
    return max(quantile(histogram, share), SHORTEST_MS)


def _scored(bins: Sequence[int]) -> bool:
    return len(bins) == BINS and any(bins)


def _score(bins: Sequence[int]) -> float:
    """Mean of what these bins over [0, 1] hold, each at its middle."""
    return fmean([(place + 0.5) / BINS for place in range(BINS)], weights=bins)


def _shares(of: Evidence) -> dict[str, float]:
    """Of the labels, as they are compared."""
    shares = defaultdict[str, int](int)
    for label, n in of.classes.items():
        shares[_key(label)] += n
    total = sum(shares.values())
    return {label: n / total for label, n in shares.items()} if total else {}


def _mixed(of: Iterable[Mapping[str, float]]) -> dict[str, float]:
    """Each weighs the same."""
    each = list(of)
    mixed = defaultdict[str, float](float)
    for shares in each:
        for label, share in shares.items():
            mixed[label] += share
    return {label: share / len(each) for label, share in mixed.items()}


def _distance(one: Mapping[str, float], other: Mapping[str, float]) -> float:
    return sum(abs(one.get(label, 0.0) - other.get(label, 0.0)) for label in one.keys() | other.keys()) / 2


def _chance(now: Mapping[str, float], before: Mapping[str, float], of: Sequence[Pair]) -> float:
    """What the distance of two samples of the mean of both would be."""
    inverse = _inverse(pair.now for pair in of) + _inverse(pair.before for pair in of)
    middle = [(now.get(label, 0.0) + before.get(label, 0.0)) / 2 for label in now.keys() | before.keys()]
    return sum(math.sqrt(share * (1 - share) * inverse / (2 * math.pi)) for share in middle if share < 1.0)


def _inverse(of: Iterable[Evidence]) -> float:
    """1/n of so many independent frames as the mean over these devices is worth."""
    inverses = [1 / sum(each.classes.values()) for each in of]
    return sum(inverses) / len(inverses) ** 2
