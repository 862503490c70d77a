"""`file_search`, wire to domain: how stores are searched; and what a document is called. Pure."""

from collections.abc import Mapping
from typing import Final

from pydantic import JsonValue

from llm_api.api.mapping.rag.search import to_weights
from llm_api.api.mapping.vector_stores import to_filter
from llm_api.api.models.file_search import FileSearchTool
from llm_api.core.rag.filters import EVERYTHING, Filter, parse_filter
from llm_api.core.rag.retrieve import SearchOptions
from llm_api.core.rag.vector_store import Hit
from llm_api.core.vector_stores.views import filename_of

_OPENAI: Final = frozenset({"key", "filters"})


def to_search_options(tool: FileSearchTool, default_top_k: int, path: str) -> SearchOptions:
    """How each of the tool's stores is searched. Raises InvalidRequestError."""
    ranking = tool.ranking_options
    given = None if ranking is None else ranking.hybrid_search
    weights = to_weights(given, path=f"{path}.ranking_options.")
    return SearchOptions(
        collection="",
        top_k=tool.max_num_results or default_top_k,
        filter=EVERYTHING
        if tool.filters is None
        else to_any_filter(tool.filters, f"{path}.filters"),
        score_threshold=None if ranking is None else ranking.score_threshold,
        truncates=True,
        weights=weights,
        unsaid=frozenset({"mode", "diversity"} if weights is None else {"diversity"}),
    )


def to_any_filter(given: Mapping[str, JsonValue], path: str) -> Filter:
    """A filter in OpenAI's form, or in that of `/v1/rag`. Raises InvalidRequestError."""
    is_openai = isinstance(given.get("type"), str) and not given.keys().isdisjoint(_OPENAI)
    return to_filter(given, path) if is_openai else parse_filter(given, path)


def file_name(hit: Hit) -> str:
    """What people know the document by."""
    return filename_of(hit.metadata, hit.title, hit.chunk.document_id)
