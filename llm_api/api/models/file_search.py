"""`file_search`: the tool by which a model searches vector stores, wherever it is offered."""

from typing import Annotated, Literal

from pydantic import Field, JsonValue, StringConstraints

from llm_api.api.models.base import RequestModel, at_most_nested
from llm_api.api.models.rag.fields import HybridSearch

StoreName = Annotated[str, StringConstraints(min_length=1, max_length=64)]


class HybridWeights(HybridSearch):
    """How much meaning and words count beside each other."""

    embedding_weight: float = Field(ge=0, le=1000)
    text_weight: float = Field(ge=0, le=1000)


class RankingOptions(RequestModel):
    """How passages are ranked."""

    ranker: StoreName | None = Field(
        default=None, description="`none`, `auto` or a ranker of OpenAI's: there is one way."
    )
    score_threshold: float | None = Field(
        default=None, ge=0, le=1, description="Cosine similarity that a passage must have."
    )
    hybrid_search: HybridWeights | None = None


class FileSearchTool(RequestModel):
    """A search of stored documents, which this server makes."""

    type: Literal["file_search"]
    vector_store_ids: Annotated[
        list[StoreName], Field(min_length=1, max_length=16, fail_fast=True)
    ] = Field(description="Vector stores, which are the collections of `/v1/rag`.")
    max_num_results: int | None = Field(
        default=None, ge=1, le=50, description="Of each search. Default: `RAG_TOP_K`."
    )
    filters: Annotated[dict[str, JsonValue], at_most_nested(2048)] | None = Field(
        default=None,
        description="OpenAI's `{type, key, value}` and `{type, filters}`, or one of `/v1/rag`.",
    )
    ranking_options: RankingOptions | None = None
    citations: Literal["model", "alignment", "both", "none"] | None = Field(
        default=None,
        description="Extension. Where citations come from, as in `rag`. Default: `both`.",
    )
