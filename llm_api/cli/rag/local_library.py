"""The collection that the settings describe, without a server."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from typing import Final

from llm_api.assembly.reranker import open_reranker
from llm_api.assembly.retrieval import open_retrieval, require_unlocked
from llm_api.assembly.services import open_embedders
from llm_api.assembly.state import new_state
from llm_api.cli.rag.files import FoundFile
from llm_api.config.settings import Settings
from llm_api.core.llm.engine.compute_thread import ComputeThread
from llm_api.core.rag.files import FileToIngest
from llm_api.core.rag.reports import Report
from llm_api.core.rag.retrieval import Retrieval
from llm_api.core.rag.sync import Deletion, SourceListing, SyncOutcome, sync

OWNER: Final = ""
"""Whose the notes on files are: those of a server without keys."""


@dataclass(frozen=True, slots=True)
class LocalLibrary:
    """Stores through `retrieval`."""

    retrieval: Retrieval
    collection: str

    async def sync(
        self, listing: SourceListing, deletion: Deletion | None, *, retries_failed: bool
    ) -> SyncOutcome:
        return await sync(self.retrieval, OWNER, listing, deletion, retries_failed=retries_failed)

    async def store(self, files: Sequence[FoundFile], report: Report) -> None:
        given = [FileToIngest(file.id, _reading(file), file.metadata) for file in files]
        await self.retrieval.ingest_files(OWNER, self.collection, given, report)


def _reading(file: FoundFile) -> Callable[[], Awaitable[bytes]]:
    async def read() -> bytes:
        return file.read()  # nobody else waits on this loop

    return read


@asynccontextmanager
async def local_retrieval(settings: Settings) -> AsyncGenerator[Retrieval, None]:
    """Raises ModelNotFoundError without an embedding model.

    Raises VectorStoreLockedError at once where a server has the documents open.
    """
    require_unlocked(settings)
    async with (
        aclosing(ComputeThread()) as compute,
        open_embedders(settings, compute) as embedders,
        aclosing(new_state(settings)) as state,
        open_reranker(settings, compute) as reranker,
        open_retrieval(settings, embedders.default(), state, reranker) as retrieval,
    ):
        yield retrieval


@asynccontextmanager
async def local_library(settings: Settings, collection: str) -> AsyncGenerator[LocalLibrary, None]:
    """Raises VectorStoreLockedError where a server has the documents open."""
    async with local_retrieval(settings) as retrieval:
        yield LocalLibrary(retrieval, collection)
