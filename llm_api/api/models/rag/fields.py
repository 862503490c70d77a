"""What the resources of retrieval have in common."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, JsonValue, StringConstraints
from pydantic_core import PydanticCustomError

from llm_api.api.models.base import AnswerModel, RequestModel, at_most, at_most_nested
from llm_api.core.rag.fusion import MAX_NEIGHBOURS
from llm_api.core.rag.identity import is_carried
from llm_api.core.rag.vector_store import NEIGHBOURS


def _carried(document_id: str) -> str:
    if not is_carried(document_id):
        raise PydanticCustomError(
            "document_id",
            "An id has no line breaks or control characters, and no '.' or '..' between slashes",
        )
    return document_id


DEFAULT_COLLECTION = "default"
MAX_TOP_K = 100

Scalar = str | int | float | bool
Metadata = Annotated[
    dict[str, Scalar | list[Scalar] | None],
    at_most(64),
    Field(
        description="Up to 64 fields: texts, numbers, booleans, or lists of them.",
        examples=[{"source": "docker-docs", "year": 2024}],
    ),
]
Filter = Annotated[
    dict[str, JsonValue],
    at_most_nested(2048),
    Field(
        description="Conditions on metadata: `eq ne gt gte lt lte in nin`, `and`, `or`; a plain"
        " value means `eq`.",
        examples=[{"source": "docker-docs", "year": {"gte": 2020}}],
    ),
]
CollectionName = Annotated[str, StringConstraints(max_length=64)]
DocumentId = Annotated[str, StringConstraints(min_length=1, max_length=512)]
NewDocumentId = Annotated[DocumentId, AfterValidator(_carried)]
Question = Annotated[
    str, StringConstraints(min_length=1, max_length=65_536, pattern=r"\S"), Field(strict=True)
]


class Span(AnswerModel):
    """Characters `start` to `end` of a text, the end excluded."""

    start: int
    end: int


Weight = Annotated[float, Field(ge=0, le=1_000_000)]


class HybridSearch(RequestModel):
    """What meaning and words count in mode `hybrid`; only their ratio matters. As OpenAI's."""

    embedding_weight: Weight
    text_weight: Weight


class SearchParameters(RequestModel):
    """How documents are searched. Null means the default."""

    collection: CollectionName = DEFAULT_COLLECTION
    top_k: int | None = Field(
        default=None, ge=1, le=MAX_TOP_K, description="Chunks at most. Default: `RAG_TOP_K`."
    )
    mode: Literal["dense", "sparse", "hybrid"] | None = Field(
        default=None,
        description="By meaning, by words (BM25), or by both, the default.",
    )
    hybrid_search: HybridSearch | None = Field(
        default=None, description="For mode `hybrid`. Default: 0.6 and 0.4."
    )
    neighbours: int | None = Field(
        default=None,
        ge=0,
        le=MAX_NEIGHBOURS,
        description="For mode `hybrid`: how many of the chunks most like it raise or lower a chunk"
        f" by how they stand themselves. Default {NEIGHBOURS}; 0 is none.",
    )
    filter: Filter | None = None
    score_threshold: float | None = Field(
        default=None,
        description="Cosine similarity that a chunk must have; in mode `sparse`, BM25 score."
        " Default: what was measured for the embedding model; -1 keeps all.",
    )
    rerank: bool | None = Field(
        default=None, description="Have a cross-encoder judge what was found: see `RERANK_MODEL`."
    )
    diversity: float | None = Field(
        default=None,
        ge=0,
        le=1,
        description="How much a chunk loses by what it repeats of better ones (MMR). Default 0.",
    )


class SearchWeights(AnswerModel):
    embedding_weight: float
    text_weight: float


class TunedSearch(AnswerModel):
    """How a collection is searched where a request does not say."""

    mode: Literal["dense", "sparse", "hybrid"]
    hybrid_search: SearchWeights
    score_threshold: float | None
    top_k: int
    diversity: float
    neighbours: int


class Scores(AnswerModel):
    """What each way to search thinks of a chunk; null where it was not asked."""

    dense: float | None = Field(description="Cosine similarity.")
    sparse: float | None = Field(description="BM25.")
    rerank: float | None = Field(description="The cross-encoder's.")


class Hit(AnswerModel):
    """A chunk that was found: its words, and where they stand in their document."""

    chunk_id: str
    document_id: str
    title: str
    text: str
    span: Span = Field(description="Of the document's text.")
    headings: list[str]
    page: int | None
    metadata: dict[str, Any]
    score: float = Field(description="What ranks the hits of this search.")
    scores: Scores
