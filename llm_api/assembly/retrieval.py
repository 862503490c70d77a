"""The composition root of retrieval: what the settings mean, opened when it is first used."""

import asyncio
from collections.abc import AsyncGenerator
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing, asynccontextmanager
from functools import partial
from pathlib import Path

from llm_api.config.settings import Settings
from llm_api.core.embeddings.embedder import Embedder
from llm_api.core.embeddings.hub_repository import pull_repository
from llm_api.core.embeddings.model_folder import model_folder, repository
from llm_api.core.rag.chunking import ChunkSettings
from llm_api.core.rag.jobs import IngestJobs
from llm_api.core.rag.loaders.file_loader import FileLoader
from llm_api.core.rag.opening import VectorStoreOptions, open_vector_store
from llm_api.core.rag.rerank import CrossEncoderReranker, Reranker
from llm_api.core.rag.retrieval import Retrieval
from llm_api.core.rag.retrieve import Retriever


@asynccontextmanager
async def open_retrieval(settings: Settings, embedder: Embedder) -> AsyncGenerator[Retrieval, None]:
    """Jobs end first, then the store closes; the embedder belongs to somebody else."""
    async with (
        open_vector_store(vector_store_options(settings)) as store,
        FileLoader() as loader,
        aclosing(IngestJobs()) as jobs,
        _open_reranker(settings) as reranker,
    ):
        yield Retrieval(
            store=store,
            embedder=embedder,
            loader=loader,
            jobs=jobs,
            retriever=Retriever(store, embedder, reranker, settings.rag_score_threshold),
            chunks=ChunkSettings(settings.rag_chunk_tokens, settings.rag_chunk_overlap),
            top_k=settings.rag_top_k,
        )


def has_own_store(settings: Settings) -> bool:
    """Whether documents are kept by this very process, out of reach of any other."""
    return settings.qdrant_use_memory or _server_url(settings) is None


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
    )


def _server_url(settings: Settings) -> str | None:
    if settings.qdrant_url is not None:
        return str(settings.qdrant_url)
    if settings.qdrant_host is not None:
        host = settings.qdrant_host
        return f"http://{f'[{host}]' if ':' in host else host}:{settings.qdrant_port}"
    return None


@asynccontextmanager
async def _open_reranker(settings: Settings) -> AsyncGenerator[Reranker | None, None]:
    name = settings.rerank_model
    if name is None:
        yield None
        return
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="reranking") as thread:
        run = partial(asyncio.get_running_loop().run_in_executor, thread)
        yield CrossEncoderReranker(partial(_folder, name, settings.models_dir), run)


def _folder(name: str, models_dir: Path) -> Path:
    return model_folder(name) or pull_repository(repository(name), None, models_dir)
