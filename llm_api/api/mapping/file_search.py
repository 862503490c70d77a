"""`file_search`, wire to domain: how stores are searched; and what a document is called. Pure."""

from collections.abc import Mapping

from pydantic import JsonValue

from llm_api.api.models.file_search import FileSearchTool
from llm_api.core.errors import InvalidRequestError
from llm_api.core.rag.answering.prompt import source_name
from llm_api.core.rag.filters import EVERYTHING, MAX_DEPTH, Filter, parse_filter
from llm_api.core.rag.retrieve import SearchOptions
from llm_api.core.rag.vector_store import Hit, HybridWeights


def to_search_options(tool: FileSearchTool, default_top_k: int, path: str) -> SearchOptions:
    """How each of the tool's stores is searched. Raises InvalidRequestError."""
    ranking = tool.ranking_options
    weights = None
    if ranking is not None and (given := ranking.hybrid_search) is not None:
        if given.embedding_weight + given.text_weight <= 0:
            raise InvalidRequestError(
                "One of the two weights is above 0.", param=f"{path}.ranking_options.hybrid_search"
            )
        weights = HybridWeights(given.embedding_weight, given.text_weight)
    return SearchOptions(
        collection="",
        top_k=tool.max_num_results or default_top_k,
        filter=EVERYTHING if tool.filters is None else to_filter(tool.filters, f"{path}.filters"),
        score_threshold=None if ranking is None else ranking.score_threshold,
        truncates=True,
        weights=weights,
        unsaid=frozenset({"mode", "diversity"} if weights is None else {"diversity"}),
    )


def to_filter(given: Mapping[str, JsonValue], path: str) -> Filter:
    """A filter in OpenAI's form, or in this server's own. Raises InvalidRequestError."""
    return parse_filter(_own_form(given, path, 1), path)


def _own_form(given: JsonValue | Mapping[str, JsonValue], path: str, depth: int) -> JsonValue:
    """OpenAI's `{type, key, value}` and `{type, filters}` in the language of this server."""
    if depth > MAX_DEPTH:
        raise InvalidRequestError(f"A filter is nested at most {MAX_DEPTH} deep.", param=path)
    if not isinstance(given, dict):
        raise InvalidRequestError(f"'{path}' is no filter: an object is one.", param=path)
    kind, parts = given.get("type"), given.get("filters")
    if isinstance(kind, str) and isinstance(parts, list):
        inner = enumerate(parts)
        return {kind: [_own_form(one, f"{path}.filters[{at}]", depth + 1) for at, one in inner]}
    if isinstance(kind, str) and isinstance(given.get("key"), str) and "value" in given:
        return {str(given["key"]): {kind: given["value"]}}
    return dict(given)


def file_name(hit: Hit) -> str:
    """What people know the document by."""
    name = hit.metadata.get("filename")
    return name if isinstance(name, str) and name else hit.title or source_name(hit)
