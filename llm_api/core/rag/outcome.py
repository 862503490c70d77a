"""What became of a document that was to be stored. Pure values."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeAlias

from llm_api.core.errors import (
    DocumentNotFoundError,
    EmbeddingError,
    InvalidRequestError,
    LLMAPIError,
)
from llm_api.core.rag.vector_store import Written

What: TypeAlias = Written | Literal["updated", "failed"]

FAULTS_OF_ONE = (InvalidRequestError, DocumentNotFoundError, EmbeddingError)
"""Errors that are about one document. All others are about the store or the model."""


@dataclass(frozen=True, slots=True)
class DocumentOutcome:
    """`updated`: its metadata alone. `reason` is one line that says why it failed.

    `warnings` name what of its file could not be read.
    """

    document_id: str
    what: What
    chunks: int = 0
    reason: str = ""
    warnings: tuple[str, ...] = ()


Report: TypeAlias = Callable[[DocumentOutcome], None]
"""Is told of each document once, as soon as it is stored or has failed."""


def failed(document_id: str, error: LLMAPIError) -> DocumentOutcome:
    return DocumentOutcome(document_id, "failed", reason=" ".join(error.message.split()))
