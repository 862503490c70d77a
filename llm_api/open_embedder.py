"""The composition root of embeddings: which embedder the settings mean, opened when needed."""

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import Executor
from functools import partial
from pathlib import Path

from llm_api.config.settings import Settings
from llm_api.core.embeddings.default_model import DEFAULT_HUB_NAME, DEFAULT_NAME, model_place
from llm_api.core.embeddings.embedder import Embedder, EmbedderCard
from llm_api.core.embeddings.encoder import Encoder
from llm_api.core.embeddings.local import LocalEmbedder, LocalOptions
from llm_api.core.embeddings.on_demand import OnDemandEmbedder
from llm_api.core.embeddings.registry import EmbedderRegistry
from llm_api.core.embeddings.sentence_transformer import (
    SentenceTransformerOptions,
    open_sentence_transformer,
)
from llm_api.core.utils.cpu import physical_cores


def find_embedders(settings: Settings, thread: Executor) -> EmbedderRegistry:
    """The embedder that the settings choose, if any. Opens nothing, fetches nothing.

    `thread` has one worker: what it opens, it alone computes with.
    """
    if _kind(settings) == "none":
        return EmbedderRegistry([])
    card = _card(settings)

    async def open_embedder() -> Embedder:
        return await _open_local(settings, card, thread)

    return EmbedderRegistry([OnDemandEmbedder(card, open_embedder)])


def _kind(settings: Settings) -> str:
    if settings.embedding_backend != "auto":
        return settings.embedding_backend
    return "sentence_transformers"


def _card(settings: Settings) -> EmbedderCard:
    name = settings.embedding_model_name
    is_default = name in (DEFAULT_NAME, DEFAULT_HUB_NAME)
    path = Path(name).expanduser()
    return EmbedderCard(
        id=DEFAULT_NAME if is_default else path.stem if path.exists() else name,
        created=int(path.stat().st_mtime if path.exists() else time.time()),
        owned_by="llm_api",
        aliases=(*((DEFAULT_HUB_NAME,) if is_default else ()), *settings.embedding_aliases),
    )


async def _open_local(settings: Settings, card: EmbedderCard, thread: Executor) -> LocalEmbedder:
    loop = asyncio.get_running_loop()
    encoder = await loop.run_in_executor(thread, _open_encoder(settings))
    options = LocalOptions(
        dimension=settings.embedding_dimension,
        allows_any_dimension=settings.embedding_any_dimension,
        batch_tokens=settings.embedding_batch_tokens,
        cached_vectors=settings.embedding_cache_size,
        query_prefix=settings.embedding_query_prefix,
        document_prefix=settings.embedding_document_prefix,
    )
    return LocalEmbedder(card, encoder, partial(loop.run_in_executor, thread), options)


def _open_encoder(settings: Settings) -> Callable[[], Encoder]:
    options = SentenceTransformerOptions(
        name=model_place(settings.embedding_model_name),
        cache_folder=settings.models_dir / "sentence-transformers",
        revision=settings.embedding_revision,
        trusts_remote_code=settings.embedding_trust_remote_code,
        numerics=settings.embedding_numerics,
        threads=settings.embedding_threads or physical_cores(),
    )
    return lambda: open_sentence_transformer(options)
