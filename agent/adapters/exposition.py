"""Figures as Prometheus reads them, through its own client: over a registry of ours, so that nothing is told
of this process but what is asked for.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from agent.core.telemetry.families import BOUNDS_S, Family, Kind


@dataclass(frozen=True, slots=True)
class Exposition:
    body: bytes
    content_type: str


def exposition(families: Iterable[Family], accept: str = "") -> Exposition:
    """The figures, in the text format, or as OpenMetrics where `accept`, the header of the request, asks."""
    encode, content_type = choose_encoder(accept)
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Told(tuple(families)))
    return Exposition(encode(registry), content_type)


class _Told(Collector):
    def __init__(self, families: tuple[Family, ...]) -> None:
        self._families = families

    def describe(self) -> Iterable[Metric]:
        return ()

    def collect(self) -> Iterator[Metric]:
        for family in self._families:
            yield _MAKERS[family.kind](family)


def _names(family: Family) -> list[str]:
    told = family.samples or family.buckets
    return list(told[0].labels) if told else []


def _gauge(family: Family) -> Metric:
    made = GaugeMetricFamily(family.name, family.words, labels=_names(family))
    for sample in family.samples:
        made.add_metric(list(sample.labels.values()), sample.value)
    return made


def _counter(family: Family) -> Metric:
    made = CounterMetricFamily(family.name, family.words, labels=_names(family))
    for sample in family.samples:
        made.add_metric(list(sample.labels.values()), sample.value)
    return made


def _info(family: Family) -> Metric:
    made = InfoMetricFamily(family.name, family.words, labels=[])
    for sample in family.samples:
        made.add_metric([], dict(sample.labels))
    return made


def _histogram(family: Family) -> Metric:
    made = HistogramMetricFamily(family.name, family.words, labels=_names(family))
    bounds = [*map(str, BOUNDS_S), "+Inf"]
    for each in family.buckets:
        counts = [float(n) for n in each.counts]
        made.add_metric(
            list(each.labels.values()), list(zip(bounds, counts, strict=True)), sum_value=each.sum_s
        )
    return made


_MAKERS: dict[Kind, Callable[[Family], Metric]] = {
    Kind.GAUGE: _gauge,
    Kind.COUNTER: _counter,
    Kind.HISTOGRAM: _histogram,
    Kind.INFO: _info,
}
