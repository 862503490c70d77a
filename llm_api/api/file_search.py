"""`file_search`: a function by which a model searches the stored documents that a request names.

Of the API, as functions know nothing of retrieval. The searches are those of one answer.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from pydantic import JsonValue

from llm_api.api.deps import CallerServices
from llm_api.api.mapping.file_search import to_search_options
from llm_api.api.models.file_search import FileSearchTool
from llm_api.core.embeddings.embedder import Embedder
from llm_api.core.errors import (
    FunctionFailedError,
    InvalidArgumentsError,
    LLMAPIError,
    VectorStoreExpiredError,
    VectorStoreNotFoundError,
)
from llm_api.core.function_loop import FunctionLoop
from llm_api.core.functions.runner import Functions
from llm_api.core.functions.types import Function, FunctionSpec, Origin
from llm_api.core.llm.backend import Backend
from llm_api.core.llm.types import FunctionExecuted
from llm_api.core.rag.answering.manner import Manner
from llm_api.core.rag.answering.searches import (
    MAX_QUERIES,
    QUERY_CHARACTERS,
    DocumentSearches,
    read_queries,
)
from llm_api.core.rag.answering.searching import TOOL, SearchingBackend, SpokenBackend
from llm_api.core.vector_stores.access import StoreAccess

_ORIGIN: Final = Origin("built_in", "documents")
_NAMED: Final = 20
"""Collections that an error names at most."""

_SPEC: Final = FunctionSpec(
    TOOL,
    "Search the user's documents for passages that answer a question.",
    {
        "type": "object",
        "properties": {
            "queries": {
                "type": "array",
                "description": "What to look for, in words or as questions: one for each thing.",
                "items": {"type": "string", "minLength": 1, "maxLength": QUERY_CHARACTERS},
                "minItems": 1,
                "maxItems": MAX_QUERIES,
            }
        },
        "required": ["queries"],
    },
)


@dataclass(frozen=True, slots=True)
class FileSearchFunction:
    """The function over the searches of one answer. Its result is a text: numbered sources."""

    searches: DocumentSearches
    spec: FunctionSpec = _SPEC
    origin: Origin = _ORIGIN
    timeout_seconds: float | None = None

    async def call(self, arguments: Mapping[str, JsonValue]) -> str:
        """As `Function.call`."""
        try:
            return (await self.searches.asked(read_queries(arguments))).text
        except InvalidArgumentsError:
            raise
        except LLMAPIError as error:
            raise FunctionFailedError(error.message) from error


@dataclass(frozen=True, slots=True)
class OpenedSearch:
    """What a request's `file_search` may reach, for one answer."""

    searches: DocumentSearches
    function: FileSearchFunction
    embedder: Embedder
    manner: Manner

    def over(
        self,
        backend: Backend,
        functions: Sequence[Function],
        own: Functions,
        max_calls: int | None = None,
    ) -> Backend:
        """The backend with its model searching, and calling the `functions`, this among them."""
        spoken = SpokenBackend(backend, self.searches)

        def looped(made: Sequence[FunctionExecuted]) -> Backend:
            return FunctionLoop(spoken, functions, own.runner, own.max_rounds, max_calls, made)

        return SearchingBackend(backend, self.searches, looped, self.embedder, self.manner)


async def open_search(tool: FileSearchTool, path: str, services: CallerServices) -> OpenedSearch:
    """The search that the tool at `path` asks for.

    Raises InvalidRequestError; VectorStoreNotFoundError that names the parameter, and the stores
    that there are; VectorStoreExpiredError, PermissionDeniedError, ModelNotFoundError.
    """
    services.caller.require("rag")
    retrieval = services.retrieval()
    options = to_search_options(tool, retrieval.top_k, path)
    for index, name in enumerate(tool.vector_store_ids):
        await _check_store(services.vector_stores(), name, f"{path}.vector_store_ids[{index}]")
    searches = DocumentSearches(retrieval.retriever, tool.vector_store_ids, options)
    manner = Manner(tool.citations or "both")
    return OpenedSearch(searches, FileSearchFunction(searches), retrieval.embedder, manner)


async def _check_store(stores: StoreAccess, name: str, param: str) -> None:
    try:
        await stores.check([name])
    except VectorStoreNotFoundError as error:
        known = [one.name for one in await stores.retrieval.store.list_collections()]
        listed = ", ".join(f"'{one}'" for one in known[:_NAMED]) or "none yet"
        raise VectorStoreNotFoundError(
            f"There is no vector store '{name}'; there are: {listed}.", param=param
        ) from error
    except VectorStoreExpiredError as error:
        error.param = param
        raise
