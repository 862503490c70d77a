"""`search_documents`: the stored documents as a function, with the rights of one caller.

Of the API and not built in, as functions know nothing of retrieval: a caller brings its own way to
the documents, on which its tokens are counted.
"""

from dataclasses import dataclass, replace
from functools import cache
from typing import Annotated, Final

from pydantic import Field, JsonValue, StringConstraints
from pydantic_core import to_json

from llm_api.core.errors import (
    FunctionFailedError,
    InvalidArgumentsError,
    InvalidRequestError,
    LLMAPIError,
)
from llm_api.core.functions.python_function import FunctionThreads, PythonFunction
from llm_api.core.functions.registry import Declaration, declare
from llm_api.core.functions.runner import Functions
from llm_api.core.functions.types import Origin
from llm_api.core.rag.answering.prompt import source_name
from llm_api.core.rag.filters import EVERYTHING, parse_filter
from llm_api.core.rag.retrieval import Retrieval
from llm_api.core.rag.retrieve import HOW, SearchOptions
from llm_api.core.rag.vector_store import Hit

MAX_PASSAGES: Final = 20
PASSAGES_BYTES: Final = 16 * 1024
"""All passages of a result together, as JSON: a model has to read them beside the conversation."""

_ORIGIN: Final = Origin("built_in", "documents")

SearchText = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=4096)]
Collection = Annotated[str, StringConstraints(min_length=1, max_length=64)]
PassageCount = Annotated[int, Field(ge=1, le=MAX_PASSAGES)]
Conditions = dict[str, JsonValue]


@dataclass(frozen=True, slots=True)
class DocumentSearch:
    """The function over one caller's documents. `max_bytes` bounds the passages of a result."""

    retrieval: Retrieval
    max_bytes: int

    async def search_documents(
        self,
        query: SearchText,
        collection: Collection = "default",
        top_k: PassageCount = 5,
        filter: Conditions | None = None,
    ) -> dict[str, object]:
        """Search the stored documents for passages that answer a question.

        Args:
            query: What to look for, in words or as a question.
            collection: Which collection of documents to search.
            top_k: How many passages to return at most.
            filter: Conditions on the documents' metadata, such as {"year": {"gte": 2020}}.
        """
        try:
            conditions = EVERYTHING if filter is None else parse_filter(filter)
            options = SearchOptions(
                collection, top_k, filter=conditions, truncates=True, unsaid=HOW
            )
            hits = await self.retrieval.retriever.search(query, options)
        except InvalidRequestError as error:
            raise InvalidArgumentsError(error.message, param=error.param) from error
        except LLMAPIError as error:
            raise FunctionFailedError(error.message) from error
        passages = [_passage(hit) for hit in hits]
        while len(to_json(passages)) > self.max_bytes:
            passages.pop()
        return {"passages": passages, "omitted": len(hits) - len(passages)}


def with_document_search(functions: Functions, retrieval: Retrieval) -> Functions:
    """The functions, and the search of these documents."""
    search = DocumentSearch(retrieval, min(PASSAGES_BYTES, functions.runner.result_bytes // 2))
    declaration = replace(_declaration(), function=search.search_documents)
    function = PythonFunction(declaration, _ORIGIN, FunctionThreads())
    return replace(functions, catalog=functions.catalog.extended(function))


@cache
def _declaration() -> Declaration:
    """What is told of the function: the same for every caller."""
    return declare(DocumentSearch.search_documents.__get__(object()))


def _passage(hit: Hit) -> dict[str, object]:
    chunk = hit.chunk
    return {
        "document_id": chunk.document_id,
        "title": source_name(hit),
        "text": chunk.text,
        "span": {"start": chunk.span.start, "end": chunk.span.end},
        "score": round(hit.score, 4),
    }
