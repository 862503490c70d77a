"""The composition root of reranking: which model the settings mean, opened when needed."""

import asyncio
import time
from collections.abc import AsyncGenerator
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing, asynccontextmanager
from functools import partial
from pathlib import Path

from llm_api.config.settings import Settings
from llm_api.core.embeddings.cross_encoder import open_cross_encoder
from llm_api.core.embeddings.embedder import EmbedderCard
from llm_api.core.embeddings.gguf import find_gguf
from llm_api.core.embeddings.gguf_pairs import open_gguf_pairs
from llm_api.core.embeddings.model_files import model_folder, pull_repository, repository
from llm_api.core.embeddings.reranker import LocalReranker, PairEncoder
from llm_api.core.llm.engine.compute_thread import ComputeThread
from llm_api.core.llm.engine.llama_model import ModelOptions
from llm_api.core.utils.machine import physical_cores


@asynccontextmanager
async def open_reranker(
    settings: Settings, compute: ComputeThread
) -> AsyncGenerator[LocalReranker | None, None]:
    """The model of `RERANK_MODEL`, opened by its first question; freed on exit.

    PyTorch computes on a separate thread, llama.cpp on that of the engines.
    """
    name = settings.rerank_model
    if name is None:
        yield None
        return
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="reranking") as thread:
        own = partial(asyncio.get_running_loop().run_in_executor, thread)
        run = compute.run if _is_gguf(name) else own
        opening = partial(_open, settings, name)
        tokens = settings.embedding_batch_tokens
        async with aclosing(LocalReranker(_card(name), opening, run, tokens)) as reranker:
            yield reranker


def _is_gguf(name: str) -> bool:
    return name.endswith(".gguf")


def _card(name: str) -> EmbedderCard:
    """What requests call the model: by its file or folder, or as the hub does."""
    path = Path(name).expanduser()
    known = path.stem if _is_gguf(name) else (path.name if model_folder(name) else name)
    created = int(path.stat().st_mtime if path.exists() else time.time())
    return EmbedderCard(id=known, created=created, owned_by="llm_api")


def _open(settings: Settings, name: str) -> PairEncoder:
    """Blocks, for as long as a fetch takes."""
    if not _is_gguf(name):
        models_dir = settings.models_dir
        folder = model_folder(name) or pull_repository(repository(name), None, models_dir)
        return open_cross_encoder(folder)
    return open_gguf_pairs(
        find_gguf(name, settings.models_dir),
        ModelOptions(gpu_layers=settings.gpu_layers, main_gpu=settings.main_gpu),
        step_tokens=settings.embedding_batch_tokens,
        threads=settings.embedding_threads or physical_cores(),
    )
