"""Figures as Prometheus and OpenMetrics know them: families of samples, in base units, as frozen values."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from agent.core.telemetry.latency import value_of
from agent.wire.reports import Histogram

BOUNDS_S: Final = (0.001, 0.0025, 0.005, 0.01, 0.02, 0.035, 0.05, 0.075, 0.1, 0.15, 0.25, 0.5, 1.0, 2.5, 10.0)
"""Upper bounds of buckets: closest where MobileNets lie, from an Edge TPU's 2 ms to an old Pi's 150 ms."""


class Kind(StrEnum):
    GAUGE = "gauge"
    COUNTER = "counter"
    HISTOGRAM = "histogram"
    INFO = "info"


@dataclass(frozen=True, slots=True)
class Sample:
    labels: Mapping[str, str]
    value: float


@dataclass(frozen=True, slots=True)
class Buckets:
    """Cumulative: `counts[i]` durations were no longer than `BOUNDS_S[i]`; the last counts all."""

    labels: Mapping[str, str]
    counts: tuple[int, ...]
    sum_s: float


@dataclass(frozen=True, slots=True)
class Family:
    """One name with its samples. Counters and infos are named without their `_total` and `_info`."""

    name: str
    kind: Kind
    words: str
    samples: tuple[Sample, ...] = ()
    buckets: tuple[Buckets, ...] = ()


@dataclass(slots=True)
class Tally:
    """Durations of one kind since the process started."""

    counts: list[int] = field(default_factory=lambda: [0] * (len(BOUNDS_S) + 1))
    """Not cumulative yet; the last is of those above every bound."""
    sum_s: float = 0.0

    def add(self, histogram: Histogram) -> None:
        """A bin falls where its middle lies: a duration within 1 % of a bound may be on its other side."""
        self.counts[0] += histogram.zeros
        for key, n in histogram.bins.items():
            self.counts[_place(value_of(key, histogram.relative_accuracy) / 1e3)] += n
        self.sum_s += histogram.sum / 1e3

    def buckets(self, labels: Mapping[str, str]) -> Buckets:
        so_far, cumulative = 0, []
        for n in self.counts:
            so_far += n
            cumulative.append(so_far)
        return Buckets(labels, tuple(cumulative), self.sum_s)


def gauge(name: str, words: str, samples: Iterable[tuple[Mapping[str, str], float | None]]) -> Family:
    """What is None is not told."""
    return Family(name, Kind.GAUGE, words, _told(samples))


def counter(name: str, words: str, samples: Iterable[tuple[Mapping[str, str], float | None]]) -> Family:
    return Family(name, Kind.COUNTER, words, _told(samples))


def info(name: str, words: str, labels: Iterable[Mapping[str, str]]) -> Family:
    return Family(name, Kind.INFO, words, tuple(Sample(each, 1.0) for each in labels))


def histogram(name: str, words: str, buckets: Iterable[Buckets]) -> Family:
    return Family(name, Kind.HISTOGRAM, words, buckets=tuple(buckets))


def _told(samples: Iterable[tuple[Mapping[str, str], float | None]]) -> tuple[Sample, ...]:
    return tuple(Sample(labels, float(value)) for labels, value in samples if value is not None)


def _place(seconds: float) -> int:
    return next((place for place, bound in enumerate(BOUNDS_S) if seconds <= bound), len(BOUNDS_S))
