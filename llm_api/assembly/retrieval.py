"""Retrieval as the settings have it: the vector store, the reranker, and the rest."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

from filelock import FileLock, Timeout

from llm_api.config.settings import Settings
from llm_api.core.embeddings.embedder import Embedder
from llm_api.core.embeddings.reranker import Reranker
from llm_api.core.errors import LLMAPIError, VectorStoreLockedError
from llm_api.core.rag.chunking import ChunkSettings
from llm_api.core.rag.eval_jobs import EvalJobs
from llm_api.core.rag.jobs import IngestJobs
from llm_api.core.rag.loaders.file_loader import FileLoader
from llm_api.core.rag.loaders.loaded import FileLimits
from llm_api.core.rag.retrieval import Retrieval
from llm_api.core.rag.retrieve import Retriever
from llm_api.core.rag.sources import SourceMemory
from llm_api.core.rag.vector_store import VectorStore
from llm_api.core.rag.web.fetcher import Web
from llm_api.core.rag.web.hosts import HostRules
from llm_api.core.state.state import State

log = logging.getLogger(__name__)

_OCR_MARGIN_SECONDS = 120.0
"""For the page that is under way when the time is over, and all that is no recognition."""
_OCR_MEMORY_BYTES = 3 << 30
"""1.9 GB of address space are reserved for a page of 200 dots to the inch."""

_LOCK_SECONDS = 1.0
"""A process that was just killed needs a moment to be gone."""

LOCK_NAME = "lock"
"""As `core/rag/stores/edge.py` has it."""

RECOVERY_SECONDS = 3600.0
"""How often a server is cleaned of writes that broke off: no write takes so long."""


@dataclass(frozen=True, slots=True)
class VectorStoreOptions:
    """Where documents are kept.

    A server if `url` is set; else in memory, or in `folder`. A store that does not answer within
    the timeout counts as unavailable. The rest is about the server; `further_urls` are those of
    other nodes of its cluster.
    """

    folder: Path
    is_in_memory: bool = False
    url: str | None = None
    api_key: str | None = None
    timeout_seconds: float = 10.0
    shard_number: int | None = None
    replication_factor: int | None = None
    further_urls: tuple[str, ...] = ()


@asynccontextmanager
async def open_retrieval(
    settings: Settings, embedder: Embedder, state: State, reranker: Reranker | None
) -> AsyncGenerator[Retrieval, None]:
    """The caller closes the models, and the state that jobs are kept in."""
    async with (
        open_vector_store(vector_store_options(settings)) as store,
        FileLoader(file_limits(settings)) as loader,
    ):
        yield Retrieval(
            store=store,
            embedder=embedder,
            loader=loader,
            jobs=IngestJobs(state),
            retriever=Retriever(store, embedder, reranker, settings.rag_score_threshold),
            chunks=ChunkSettings(settings.rag_chunk_tokens, settings.rag_chunk_overlap),
            top_k=settings.rag_top_k,
            sources=SourceMemory(state),
            web=Web(host_rules(settings)),
            evals=EvalJobs(state),
        )


def file_limits(settings: Settings) -> FileLimits:
    """What reading a file may cost, with the recognition of text where that is on."""
    if settings.rag_ocr == "off":
        return FileLimits()
    return FileLimits(
        seconds=settings.rag_ocr_seconds + _OCR_MARGIN_SECONDS,
        memory_bytes=_OCR_MEMORY_BYTES,
        ocr_seconds=settings.rag_ocr_seconds,
    )


def host_rules(settings: Settings) -> HostRules:
    """From where the settings have web pages fetched."""
    hosts = (host.lower() for host in settings.rag_url_allowed_hosts)
    return HostRules(tuple(hosts), allows_public=settings.rag_urls == "public")


def has_own_store(settings: Settings) -> bool:
    """Whether documents are kept by this very process, out of reach of any other."""
    return settings.qdrant_use_memory or _server_url(settings) is None


def require_unlocked(settings: Settings) -> None:
    """Raises VectorStoreLockedError where a process has the folder of the documents open."""
    folder = vector_store_options(settings).folder
    if not has_own_store(settings) or settings.qdrant_use_memory or not folder.exists():
        return
    try:
        with FileLock(folder / LOCK_NAME, timeout=_LOCK_SECONDS):
            pass
    except Timeout:
        raise VectorStoreLockedError(
            f"A server has the documents in {str(folder)!r} open, and they belong to one process:"
            " stop it first, or leave out --local where you said it."
        ) from None


def vector_store_options(settings: Settings) -> VectorStoreOptions:
    """Where the settings keep documents."""
    key = settings.qdrant_api_key
    return VectorStoreOptions(
        folder=settings.data_dir / "vectors",
        is_in_memory=settings.qdrant_use_memory,
        url=None if settings.qdrant_use_memory else _server_url(settings),
        api_key=None if key is None else key.get_secret_value(),
        timeout_seconds=settings.qdrant_timeout_seconds,
        shard_number=settings.qdrant_shard_number,
        replication_factor=settings.qdrant_replication_factor,
        further_urls=tuple(map(str, settings.qdrant_further_urls)),
    )


async def tell_unreachable_store(settings: Settings, seconds: float = 3.0) -> None:
    """Log where documents are to be kept by a server of which no node takes a connection now."""
    options = vector_store_options(settings)
    if options.url is None:
        return
    parts = urlsplit(options.url)
    urls = (options.url, *options.further_urls)
    reasons = await asyncio.gather(*(_why_unreachable(url, seconds) for url in urls))
    if None not in reasons:
        log.warning(
            "Qdrant at %s:%d does not answer (%s): documents are answered 503 until it does; see"
            " QDRANT_URL, QDRANT_HOST and QDRANT_PORT",
            parts.hostname,
            _port(parts),
            reasons[0],
        )


async def _why_unreachable(url: str, seconds: float) -> str | None:
    """Why nothing takes a connection there; None where something does."""
    parts = urlsplit(url)
    try:
        async with asyncio.timeout(seconds):
            _, writer = await asyncio.open_connection(parts.hostname, _port(parts))
            writer.close()
            await writer.wait_closed()
    except OSError as error:  # TimeoutError is one
        return str(error) or "nothing came"
    return None


def _port(url: SplitResult) -> int:
    return url.port or {"https": 443}.get(url.scheme, 80)


def _server_url(settings: Settings) -> str | None:
    if settings.qdrant_url is not None:
        return str(settings.qdrant_url)
    if settings.qdrant_host is not None:
        host = settings.qdrant_host
        return f"http://{f'[{host}]' if ':' in host else host}:{settings.qdrant_port}"
    return None


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
        (url, *options.further_urls),
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
    """Cleans up what other processes left unfinished."""
    while True:
        try:
            await recover(RECOVERY_SECONDS)
        except LLMAPIError as error:
            log.debug("the vector store is not cleaned up now: %s", error.message)
        await asyncio.sleep(RECOVERY_SECONDS)
