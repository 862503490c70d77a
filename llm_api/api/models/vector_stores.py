"""Vector stores, their files and batches of these, as OpenAI's clients send and read them."""

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, JsonValue, StringConstraints

from llm_api.api.models.base import AnswerModel, RequestModel, at_most, at_most_nested
from llm_api.api.models.chat import MetadataKey, MetadataValue
from llm_api.api.models.rag.fields import HybridSearch, Question, Scores, Span

MAX_FILES = 2_000
"""Of one request, as OpenAI has it."""
MAX_RESULTS = 50
MAX_QUESTIONS = 16

FileId = Annotated[str, StringConstraints(min_length=1, max_length=512)]
Attributes = Annotated[
    dict[MetadataKey, MetadataValue | int | float | bool],
    at_most(16),
    Field(
        description="Up to 16, to filter by: texts, numbers or booleans.",
        examples=[{"source": "docker-docs", "year": 2024}],
    ),
]
StoreMetadata = Annotated[dict[MetadataKey, MetadataValue], at_most(16)]
StoreName = Annotated[str, StringConstraints(max_length=256)]
FilterObject = Annotated[
    dict[str, JsonValue],
    at_most_nested(2048),
    Field(
        description="`{type, key, value}` with a type of `eq ne gt gte lt lte in nin`, or"
        " `{type: and | or, filters: [...]}`.",
        examples=[{"type": "eq", "key": "source", "value": "docker-docs"}],
    ),
]


class ChunkSizes(RequestModel):
    """In tokens of the embedding model. No chunk is longer than the model reads."""

    max_chunk_size_tokens: int = Field(ge=100, le=4096)
    chunk_overlap_tokens: int = Field(ge=0, description="At most half of the chunk.")


class AutoChunking(RequestModel):
    """As the server cuts: `RAG_CHUNK_TOKENS`, `RAG_CHUNK_OVERLAP`."""

    type: Literal["auto"]


class StaticChunking(RequestModel):
    type: Literal["static"]
    static: ChunkSizes


ChunkingStrategy = Annotated[AutoChunking | StaticChunking, Field(discriminator="type")]


class StoreExpiry(RequestModel):
    """The store's files go so many days after it was last asked, or changed."""

    anchor: Literal["last_active_at"]
    days: int = Field(ge=1, le=365)


class CreateVectorStore(RequestModel):
    """An empty store, or one of files of `/v1/files`."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"name": "manuals"}]})

    name: StoreName | None = None
    description: Annotated[str, StringConstraints(max_length=4096)] | None = None
    file_ids: Annotated[list[FileId], Field(max_length=MAX_FILES, fail_fast=True)] | None = None
    chunking_strategy: ChunkingStrategy | None = Field(
        default=None, description="For all files that do not say it. Default: `auto`."
    )
    expires_after: StoreExpiry | None = None
    metadata: StoreMetadata | None = None


class UpdateVectorStore(RequestModel):
    """What is to be different. `expires_after: null` lets it live for ever."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"name": "handbooks"}]})

    name: StoreName | None = None
    expires_after: StoreExpiry | None = None
    metadata: StoreMetadata | None = None


class AttachFile(RequestModel):
    """A file to bring into the store."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"file_id": "file-0123"}]})

    file_id: FileId
    attributes: Attributes | None = None
    chunking_strategy: ChunkingStrategy | None = None


class UpdateStoreFile(RequestModel):
    model_config = ConfigDict(json_schema_extra={"examples": [{"attributes": {"year": 2024}}]})

    attributes: Attributes | None = Field(
        description="Replaces what there is.", examples=[{"year": 2024}]
    )


class CreateFileBatch(RequestModel):
    """Files to bring in together: `file_ids`, all alike, or `files`, each by itself."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"file_ids": ["file-0123"]}]})

    file_ids: (
        Annotated[list[FileId], Field(min_length=1, max_length=MAX_FILES, fail_fast=True)] | None
    ) = None
    files: (
        Annotated[list[AttachFile], Field(min_length=1, max_length=MAX_FILES, fail_fast=True)]
        | None
    ) = None
    attributes: Attributes | None = Field(default=None, description="Of all `file_ids`.")
    chunking_strategy: ChunkingStrategy | None = Field(
        default=None, description="Of all `file_ids`."
    )


class StoreRanking(RequestModel):
    """How results are chosen and ordered."""

    ranker: Literal["auto", "default-2024-11-15", "none"] | None = Field(
        default=None, description="All mean the same here: there is one."
    )
    score_threshold: float | None = Field(
        default=None,
        ge=0,
        le=1,
        description="Cosine similarity that a result must have. Default: 0, any.",
    )
    hybrid_search: HybridSearch | None = Field(
        default=None, description="Default: 0.6 and 0.4, or what the store is tuned to."
    )


class SearchVectorStore(RequestModel):
    """A question to a store, or several."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"query": "What is Docker?", "max_num_results": 5}]}
    )

    query: Question | Annotated[list[Question], Field(min_length=1, max_length=MAX_QUESTIONS)] = (
        Field(description="Of several questions, the best results of all.")
    )
    max_num_results: int = Field(default=10, ge=1, le=MAX_RESULTS)
    filters: FilterObject | None = None
    ranking_options: StoreRanking | None = None
    rewrite_query: bool | None = Field(
        default=None,
        description="Accepted: a question without a conversation is searched as it is.",
    )


class FileCountsObject(AnswerModel):
    in_progress: int
    completed: int
    failed: int
    cancelled: int
    total: int


class StoreExpiryObject(AnswerModel):
    anchor: Literal["last_active_at"]
    days: int


class VectorStoreObject(AnswerModel):
    """A collection of documents. `created_at` is 0 where `/v1/rag` has made it."""

    id: str = Field(description="The name of the collection.")
    object: Literal["vector_store"]
    created_at: int = Field(description="Unix seconds, as the others.")
    name: str
    description: str | None
    status: Literal["in_progress", "completed", "expired"]
    usage_bytes: int = Field(description="What its vectors take.")
    file_counts: FileCountsObject
    expires_after: StoreExpiryObject | None
    expires_at: int | None
    last_active_at: int | None
    metadata: dict[str, str]


class VectorStoreList(AnswerModel):
    object: Literal["list"]
    data: list[VectorStoreObject]
    first_id: str | None
    last_id: str | None
    has_more: bool


class DeletedVectorStore(AnswerModel):
    id: str
    object: Literal["vector_store.deleted"]
    deleted: Literal[True]


class LastError(AnswerModel):
    """Why a file is not in the store."""

    code: Literal["server_error", "unsupported_file", "invalid_file"]
    message: str


class ChunkSizesObject(AnswerModel):
    max_chunk_size_tokens: int
    chunk_overlap_tokens: int


class ChunkingObject(AnswerModel):
    """How it was cut; `other` where nobody knows any more."""

    type: Literal["static", "other"]
    static: ChunkSizesObject | None = None


class VectorStoreFileObject(AnswerModel):
    """A document of the store, or a file on its way there."""

    id: str = Field(description="Of the file, and of its document.")
    object: Literal["vector_store.file"]
    created_at: int
    vector_store_id: str
    filename: str
    status: Literal["in_progress", "completed", "failed", "cancelled"]
    usage_bytes: int = Field(description="What its vectors take.")
    last_error: LastError | None
    attributes: dict[str, Any]
    chunking_strategy: ChunkingObject


class VectorStoreFileList(AnswerModel):
    object: Literal["list"]
    data: list[VectorStoreFileObject]
    first_id: str | None
    last_id: str | None
    has_more: bool


class DeletedStoreFile(AnswerModel):
    id: str
    object: Literal["vector_store.file.deleted"]
    deleted: Literal[True]


class TextPart(AnswerModel):
    type: Literal["text"]
    text: str


class FileContentPage(AnswerModel):
    """What was read of a file, in one piece: spans of results count in it."""

    object: Literal["vector_store.file_content.page"]
    file_id: str
    filename: str
    attributes: dict[str, Any]
    data: list[TextPart]
    has_more: Literal[False]
    next_page: None


class FileBatchObject(AnswerModel):
    """Files that were attached together; counted are those that still are."""

    id: str
    object: Literal["vector_store.files_batch"]
    created_at: int
    vector_store_id: str
    status: Literal["in_progress", "completed", "cancelled", "failed"]
    file_counts: FileCountsObject


class SearchResult(AnswerModel):
    """A chunk that was found, and where it stands in the text of its file."""

    file_id: str
    filename: str
    score: float = Field(description="What ranks the results of this search.")
    attributes: dict[str, Any]
    content: list[TextPart]
    chunk_id: str
    span: Span = Field(description="Characters of the file's text.")
    headings: list[str]
    page: int | None
    scores: Scores


class SearchResultsPage(AnswerModel):
    object: Literal["vector_store.search_results.page"]
    search_query: list[str]
    data: list[SearchResult]
    has_more: Literal[False]
    next_page: None
