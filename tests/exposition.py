"""What `/metrics` says, read as Prometheus reads it."""

from collections.abc import Iterator
from dataclasses import dataclass

from prometheus_client.parser import text_string_to_metric_families

_SUFFIXES = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count"), "gauge": ("",)}


@dataclass(frozen=True)
class Scrape:
    text: str

    def value(self, name: str, **labels: str) -> float | None:
        """The one sample of that name with exactly these labels; None where there is none."""
        found = [value for other, value in self.samples(name) if other == labels]
        assert len(found) <= 1
        return found[0] if found else None

    def samples(self, name: str) -> Iterator[tuple[dict[str, str], float]]:
        for family in text_string_to_metric_families(self.text):
            for sample in family.samples:
                if sample.name == name:
                    yield dict(sample.labels), sample.value

    def names(self) -> set[str]:
        """Of all series that there are or, as their family is, can be."""
        return {
            family.name + suffix
            for family in text_string_to_metric_families(self.text)
            for suffix in _SUFFIXES[family.type]
        }

    def labels(self, name: str) -> set[str]:
        """The labels of the samples of that name."""
        return {label for labels, _ in self.samples(name) for label in labels}
