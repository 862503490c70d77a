"""Searches of stored documents on `/v1/responses`, domain to wire. Pure."""

from typing import Final

from llm_api.api.mapping.file_search import file_name
from llm_api.api.mapping.rag.search import to_span
from llm_api.api.models.responses.output import (
    FileCitation,
    FileSearchOutputItem,
    FileSearchResult,
)
from llm_api.core.rag.answering.searches import FoundCitation, FoundPassage, Searched
from llm_api.core.vector_stores.views import attributes_of

SEARCH_RESULTS: Final = "file_search_call.results"


def to_search_item(
    item_id: str, searched: Searched, *, shows_results: bool
) -> FileSearchOutputItem:
    """A search that was made, with what it found where that is wanted."""
    results = [_result(one) for one in searched.found] if shows_results else None
    return FileSearchOutputItem(
        id=item_id,
        type="file_search_call",
        status="failed" if searched.is_error else "completed",
        queries=list(searched.queries),
        results=results,
    )


def begun_search_item(item_id: str) -> FileSearchOutputItem:
    """A search before it is made."""
    return FileSearchOutputItem(
        id=item_id, type="file_search_call", status="in_progress", queries=[], results=None
    )


def to_file_citation(citation: FoundCitation, index: int) -> FileCitation:
    """`index` is the place in the answer behind what is cited."""
    passage = citation.passage
    return FileCitation(
        type="file_citation",
        index=index,
        file_id=passage.hit.chunk.document_id,
        filename=file_name(passage.hit),
        number=passage.number,
        document_id=passage.hit.chunk.document_id,
        vector_store_id=passage.collection,
        span=to_span(citation.citation.span),
        quote=citation.citation.quote,
        by=citation.citation.by,
        score=round(citation.citation.score, 4),
        supported=citation.citation.supported,
    )


def _result(passage: FoundPassage) -> FileSearchResult:
    hit = passage.hit
    return FileSearchResult(
        attributes=dict(attributes_of(hit.metadata, hit.title)),
        file_id=hit.chunk.document_id,
        filename=file_name(hit),
        score=hit.score,
        text=hit.chunk.text,
        document_id=hit.chunk.document_id,
        vector_store_id=passage.collection,
        number=passage.number,
        span=to_span(hit.chunk.span),
    )
