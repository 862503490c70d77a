"""The vector store that was chosen, opened."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from llm_api.core.errors import LLMAPIError
from llm_api.core.rag.vector_store import VectorStore

log = logging.getLogger(__name__)

RECOVERY_SECONDS = 3600.0
"""How often a server is cleaned of writes that broke off: no write takes so long."""


@dataclass(frozen=True, slots=True)
class VectorStoreOptions:
    """Where documents are kept.

    A server if `url` is set; else in memory, or in `folder`. What does not answer within the
    timeout is not there. The rest is about the server.
    """

    folder: Path
    is_in_memory: bool = False
    url: str | None = None
    api_key: str | None = None
    timeout_seconds: float = 10.0
    shard_number: int | None = None
    replication_factor: int | None = None


@asynccontextmanager
async def open_vector_store(options: VectorStoreOptions) -> AsyncGenerator[VectorStore, None]:
    """Belongs to the running event loop. A folder is opened by the first call.

    A server that does not answer is no error yet.
    """
    opened = _open_embedded(options) if options.url is None else _open_server(options, options.url)
    async with opened as store:
        yield store


@asynccontextmanager
async def _open_embedded(options: VectorStoreOptions) -> AsyncGenerator[VectorStore, None]:
    from llm_api.core.rag.stores.edge_process import open_edge_process  # noqa: PLC0415

    folder = None if options.is_in_memory else options.folder
    async with open_edge_process(folder, options.timeout_seconds) as store:
        yield store


@asynccontextmanager
async def _open_server(options: VectorStoreOptions, url: str) -> AsyncGenerator[VectorStore, None]:
    from llm_api.core.rag.stores.document_store import DocumentStore  # noqa: PLC0415
    from llm_api.core.rag.stores.requests import ServerOptions  # noqa: PLC0415
    from llm_api.core.rag.stores.server import open_server  # noqa: PLC0415

    server = ServerOptions(
        url,
        options.api_key,
        options.timeout_seconds,
        options.shard_number,
        options.replication_factor,
    )
    async with open_server(server) as engine:
        store = DocumentStore(engine)
        recovery = asyncio.create_task(_regularly(store.recover), name="recover-vector-store")
        try:
            yield store
        finally:
            recovery.cancel()


async def _regularly(recover: Callable[[float], Awaitable[None]]) -> None:
    """What other processes left unfinished, since nobody else would."""
    while True:
        try:
            await recover(RECOVERY_SECONDS)
        except LLMAPIError as error:
            log.debug("the vector store is not cleaned up now: %s", error.message)
        await asyncio.sleep(RECOVERY_SECONDS)
