"""How long searching and bringing in documents took, by stage, and what became of documents."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from llm_api.core.rag.outcome import What
from llm_api.core.utils.distribution import Distribution

SearchStage: TypeAlias = Literal["embed", "search", "rerank"]
IngestStage: TypeAlias = Literal["prepare", "embed", "write"]

_BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


def _of_search() -> Mapping[SearchStage, Distribution]:
    return {stage: Distribution(_BOUNDS) for stage in ("embed", "search", "rerank")}


def _of_ingest() -> Mapping[IngestStage, Distribution]:
    return {stage: Distribution(_BOUNDS) for stage in ("prepare", "embed", "write")}


@dataclass(frozen=True, slots=True)
class StageTimes:
    """Seconds: of a search, and of a window of documents. Grows with each; of one event loop."""

    search: Mapping[SearchStage, Distribution] = field(default_factory=_of_search)
    ingest: Mapping[IngestStage, Distribution] = field(default_factory=_of_ingest)
    documents: Counter[What] = field(default_factory=Counter)
