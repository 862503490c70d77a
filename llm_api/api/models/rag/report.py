"""What is in a collection, and where it came from."""

from typing import Literal

from pydantic import Field

from llm_api.api.models.base import AnswerModel
from llm_api.core.rag.collection_report import Origin


class SourceReport(AnswerModel):
    """What came from one source."""

    type: Origin = Field(
        description="A folder or a Git repository by its name, web pages of a host (`url`), a file"
        " of `/v1/files` (`file`), other uploaded files, texts."
    )
    name: str
    documents: int
    chunks: int
    characters: int
    last_stored_at: int = Field(description="Unix seconds.")
    last_synced_at: int | None = Field(description="When this key last compared it.")


class KindReport(AnswerModel):
    """What there is of one kind of files."""

    kind: str
    documents: int
    chunks: int
    characters: int


class NamedDocument(AnswerModel):
    """A document, or a file that is none yet; why it is named, and since when."""

    document_id: str
    reason: str
    at: int = Field(description="Unix seconds.")


class NamedDocuments(AnswerModel):
    """The first of them, and how many there are."""

    total: int
    data: list[NamedDocument]


class CollectionReport(AnswerModel):
    """What of a collection this key may see. Failures and syncs are those of this key."""

    object: Literal["rag.report"]
    collection: str
    embedding_model: str
    dimension: int
    word_rule: int
    documents: int
    chunks: int
    contexts: int = Field(
        description="Chunks with a line that places them in their document: see evals."
    )
    characters: int
    sources: list[SourceReport] = Field(description="The largest first.")
    kinds: list[KindReport]
    failed: NamedDocuments = Field(description="What could not be stored, and is not since.")
    stale: NamedDocuments = Field(
        description="Whose file had changed or was gone at the last sync; pages fetched long ago."
    )
    is_partial: bool = Field(description="It is too large to be looked through as a whole.")
