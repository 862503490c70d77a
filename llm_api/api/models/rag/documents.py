"""Documents and their collections: what is ingested, what is stored, and jobs that ingest."""

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, StringConstraints

from llm_api.api.models.base import AnswerModel, RequestModel
from llm_api.api.models.rag.fields import (
    DEFAULT_COLLECTION,
    CollectionName,
    Metadata,
    NewDocumentId,
    TunedSearch,
)
from llm_api.core.rag.reports import What

MAX_DOCUMENTS = 10_000

Title = Annotated[str, StringConstraints(max_length=4096)]


class NewDocument(RequestModel):
    """A document. Without an id, its words are its identity."""

    id: NewDocumentId | None = None
    text: str
    title: Title = ""
    metadata: Metadata = Field(default={})


class IngestRequest(RequestModel):
    """Texts, or documents, to be found again."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "texts": ["Docker packs a program with all it needs into an image."],
                    "metadata": [{"source": "docker-docs", "type": "definition"}],
                }
            ]
        }
    )

    texts: Annotated[list[str], Field(fail_fast=True)] | None = Field(
        default=None, max_length=MAX_DOCUMENTS, description="One document each."
    )
    metadata: Annotated[list[Metadata], Field(fail_fast=True)] | None = Field(
        default=None, max_length=MAX_DOCUMENTS, description="One for each of `texts`."
    )
    ids: Annotated[list[NewDocumentId], Field(fail_fast=True)] | None = Field(
        default=None, max_length=MAX_DOCUMENTS, description="One for each of `texts`."
    )
    documents: Annotated[list[NewDocument], Field(fail_fast=True)] | None = Field(
        default=None, max_length=MAX_DOCUMENTS, description="Instead of `texts`."
    )
    collection: CollectionName = Field(
        default=DEFAULT_COLLECTION, description="It is made if it is not there."
    )
    background: bool | None = Field(
        default=None, description="Run it as a job, or wait. Default: a job where it is large."
    )


class IngestedDocument(AnswerModel):
    """What became of one document. `updated`: its metadata alone."""

    id: str
    status: What
    chunks: int
    error: str = Field(default="", description="Why it failed; present where it did.")
    warnings: list[str] = Field(
        default=[], description="What of its file could not be read; present where there is such."
    )


class IngestAnswer(AnswerModel):
    """What became of an ingest: all of it is durable."""

    object: Literal["rag.ingest"]
    collection: str
    ids: list[str] = Field(description="Of all documents that are stored now, in their order.")
    documents: list[IngestedDocument]
    failed: int


class Job(AnswerModel):
    """A large ingest, under way or ended."""

    id: str
    object: Literal["rag.job"]
    collection: str
    state: Literal["queued", "running", "done", "failed", "cancelled"]
    done: int = Field(description="Documents that are stored, or have failed.")
    total: int
    failures: dict[str, str] = Field(description="Reasons, by document.")
    warnings: dict[str, list[str]] = Field(
        description="What of their files could not be read, by document."
    )
    error: str | None = Field(description="Why the whole job failed.")
    created_at: int = Field(description="Unix seconds, as the others.")
    started_at: int | None
    ended_at: int | None


class JobList(AnswerModel):
    """The jobs of this server since its start, the newest first."""

    object: Literal["list"]
    data: list[Job]


class Document(AnswerModel):
    """A stored document."""

    id: str
    object: Literal["rag.document"]
    title: str
    metadata: dict[str, Any]
    characters: int
    chunks: int
    content_hash: str
    stored_at: int = Field(description="Unix seconds.")
    text: str = Field(default="", description="Present where one document was asked for.")


class DocumentList(AnswerModel):
    """A page of documents."""

    object: Literal["list"]
    data: list[Document]
    has_more: bool
    next_cursor: str | None = Field(description="The next page's `cursor`; null on the last.")


class DocumentChange(RequestModel):
    """What is to be different. Nothing is embedded again."""

    metadata: Metadata = Field(description="All of it: what it replaces is gone.")
    title: Title | None = Field(default=None, description="Null: it stays.")


class DeletedDocument(AnswerModel):
    id: str
    object: Literal["rag.document.deleted"]
    deleted: bool


class DeletedDocuments(AnswerModel):
    """How many documents a filter matched."""

    object: Literal["rag.documents.deleted"]
    deleted: int


class NewCollection(RequestModel):
    """A collection for the vectors of this server's embedding model."""

    name: CollectionName = Field(examples=["manuals"])


class CollectionTuning(TunedSearch):
    """With the figures that it stands on, of questions that it was not chosen on."""

    questions: int
    ndcg: float
    ndcg_before: float
    tuned_at: int


class Collection(AnswerModel):
    """A collection, and whose vectors it holds.

    `word_rule` says how its words are cut for search: 2 knows every script and normal form. One
    made by an earlier version has 1 until `llm-api rag reindex`. A damaged one says in `damage`
    what has happened to its files; it can be deleted, and is ready again when they are back.
    """

    name: str
    object: Literal["rag.collection"]
    embedding_model: str
    dimension: int
    word_rule: int
    status: Literal["ready", "damaged"]
    damage: str | None
    documents: int | None
    chunks: int | None
    tuned: CollectionTuning | None = Field(
        description="How it is searched where a request does not say: see `POST /v1/rag/evals`."
    )


class CollectionList(AnswerModel):
    object: Literal["list"]
    data: list[Collection]


class DeletedCollection(AnswerModel):
    name: str
    object: Literal["rag.collection.deleted"]
    deleted: bool
