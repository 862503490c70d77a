"""What a backend shows its owner of itself. Plain values."""

from dataclasses import dataclass
from typing import TypeAlias

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
