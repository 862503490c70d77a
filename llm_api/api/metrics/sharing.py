"""What several workers count, told by whichever of them is asked: each leaves its own in a folder.

Every sample says by its label `worker` whose it is. The samples of others are a few seconds old; a
worker that has left none for a while is gone.
"""

import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

from prometheus_client import Metric
from prometheus_client.exposition import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from llm_api.api.metrics.families import Collected

EVERY_SECONDS: Final = 5.0
GONE_SECONDS: Final = 3 * EVERY_SECONDS


class WorkersFolder:
    """One worker's view of the folder. All methods block."""

    def __init__(self, folder: Path, worker: str) -> None:
        self.worker = worker
        self._file = folder / f"{worker}.prom"

    def leave(self, own: Iterable[Metric]) -> None:
        """Leave this worker's families for the others, in place of those it left before."""
        fresh = self._file.with_suffix(".new")
        fresh.write_bytes(generate_latest(Collected(own)))
        fresh.rename(self._file)

    def clear(self) -> None:
        """Take them away. Idempotent."""
        self._file.unlink(missing_ok=True)

    def gathered(self, own: Iterable[Metric]) -> list[Metric]:
        """The families of this worker, with the samples of the others in them."""
        families: dict[str, Metric] = {}
        for worker, told in ((self._file.stem, own), *self._others()):
            for one in told:
                family = families.setdefault(
                    one.name, Metric(one.name, one.documentation, one.type)
                )
                family.samples += [
                    sample._replace(labels={**sample.labels, "worker": worker})
                    for sample in one.samples
                ]
        return list(families.values())

    def _others(self) -> Iterator[tuple[str, Iterable[Metric]]]:
        for file in self._file.parent.glob("*.prom"):
            with suppress(FileNotFoundError):  # its worker has just ended
                if file != self._file and time.time() - file.stat().st_mtime < GONE_SECONDS:
                    text = file.read_text(encoding="utf-8")
                    yield file.stem, text_string_to_metric_families(text)
