"""What can be seen of whatever runs a model, without disturbing it. Plain values.

Whoever wraps a backend hands on what the one inside shows.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol, TypeAlias, runtime_checkable

from llm_api.core.utils.distribution import Distribution


@dataclass(frozen=True, slots=True)
class KVTokens:
    """Cells of a KV buffer: those of running requests, those kept for reuse, and the others."""

    running: int
    reusable: int
    free: int


@dataclass(frozen=True, slots=True)
class EngineStatus:
    """How an engine stands, and what it has done since its model was loaded.

    The two distributions grow with every step: of the seconds it took, and of the sequences that
    were computed together in it. Without a KV buffer of cells `kv` is None.
    """

    running: int
    waiting: int
    step_seconds: Distribution
    batch_sizes: Distribution
    preemptions: int
    kv: KVTokens | None


@dataclass(frozen=True, slots=True)
class ReplicaStatus:
    """One of the equal backends of a model. While it is not `is_well`, requests go to others."""

    name: str
    is_well: bool
    running: int


Observation: TypeAlias = EngineStatus | ReplicaStatus


@runtime_checkable
class Observable(Protocol):
    """A backend that shows how it is."""

    def observe(self) -> Iterator[Observation]:
        """Neither waits nor changes anything."""
        ...


def observe(backend: object) -> Iterator[Observation]:
    """What this backend shows, which may be nothing."""
    if isinstance(backend, Observable):
        yield from backend.observe()
