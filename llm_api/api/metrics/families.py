"""Plain values as the metric families of Prometheus' client. Knows its classes, and no meanings."""

from collections.abc import Iterable, Mapping, Sequence
from math import inf

from prometheus_client import Metric
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector

from llm_api.core.utils.distribution import Distribution

PREFIX = "llm_api_"


class Collected(Collector):
    """Families that have been collected, for a registry to collect."""

    def __init__(self, families: Iterable[Metric]) -> None:
        self._families = families

    def collect(self) -> Iterable[Metric]:
        return self._families


def counter(
    name: str, meaning: str, labels: Sequence[str], values: Mapping[tuple[str, ...], float]
) -> CounterMetricFamily:
    """What only grows. `values` by their labels; the name is without `_total`."""
    family = CounterMetricFamily(PREFIX + name, meaning, labels=labels)
    for label_values, value in values.items():
        family.add_metric(label_values, value)
    return family


def gauge(
    name: str, meaning: str, labels: Sequence[str], values: Mapping[tuple[str, ...], float]
) -> GaugeMetricFamily:
    """What goes up and down."""
    family = GaugeMetricFamily(PREFIX + name, meaning, labels=labels)
    for label_values, value in values.items():
        family.add_metric(label_values, value)
    return family


def histogram(
    name: str,
    meaning: str,
    labels: Sequence[str],
    values: Iterable[tuple[tuple[str, ...], Distribution]],
) -> HistogramMetricFamily:
    """How values are spread."""
    family = HistogramMetricFamily(PREFIX + name, meaning, labels=labels)
    for label_values, distribution in values:
        buckets = [
            ("+Inf" if bound == inf else str(bound), count)
            for bound, count in distribution.cumulative()
        ]
        family.add_metric(label_values, buckets, distribution.total)
    return family
