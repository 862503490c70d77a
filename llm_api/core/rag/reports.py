"""What retrieval reports: what became of each document, and how long its stages took."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from llm_api.core.errors import (
    DocumentNotFoundError,
    EmbeddingError,
    InvalidRequestError,
    LLMAPIError,
)
from llm_api.core.rag.vector_store import Written
from llm_api.core.utils.distribution import Distribution

What: TypeAlias = Written | Literal["updated", "failed"]

FAULTS_OF_ONE = (InvalidRequestError, DocumentNotFoundError, EmbeddingError)
"""Errors that are about one document. All others are about the store or the model."""


@dataclass(frozen=True, slots=True)
class DocumentOutcome:
    """`updated`: its metadata alone. `reason` is one line that says why it failed.

    `warnings` name what of its file could not be read. A failure `is_lasting` where the same
    content would fail again.
    """

    document_id: str
    what: What
    chunks: int = 0
    reason: str = ""
    warnings: tuple[str, ...] = ()
    is_lasting: bool = False


Report: TypeAlias = Callable[[DocumentOutcome], None]
"""Is told of each document once, as soon as it is stored or has failed."""


def failed(document_id: str, error: LLMAPIError) -> DocumentOutcome:
    reason = " ".join(error.message.split())
    is_lasting = isinstance(error, InvalidRequestError)
    return DocumentOutcome(document_id, "failed", reason=reason, is_lasting=is_lasting)


SearchStage: TypeAlias = Literal["embed", "search", "rerank"]
IngestStage: TypeAlias = Literal["prepare", "embed", "write"]

_BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


def _of_search() -> Mapping[SearchStage, Distribution]:
    return {stage: Distribution(_BOUNDS) for stage in ("embed", "search", "rerank")}


def _of_ingest() -> Mapping[IngestStage, Distribution]:
    return {stage: Distribution(_BOUNDS) for stage in ("prepare", "embed", "write")}


@dataclass(frozen=True, slots=True)
class StageTimes:
    """Seconds: of a search, and of a window of documents. Grows with each; of one event loop.

    `searched` is when each collection was searched last, in Unix seconds.
    """

    search: Mapping[SearchStage, Distribution] = field(default_factory=_of_search)
    ingest: Mapping[IngestStage, Distribution] = field(default_factory=_of_ingest)
    documents: Counter[What] = field(default_factory=Counter)
    searched: dict[str, float] = field(default_factory=dict)
