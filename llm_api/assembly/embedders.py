"""The composition root of embeddings: which embedder the settings mean, opened when needed."""

import time
from functools import partial
from pathlib import Path

from llm_api.config.settings import Settings
from llm_api.core.embeddings.embedder import EmbedderCard, OwnedEmbedder
from llm_api.core.embeddings.embedder_registry import EmbedderRegistry
from llm_api.core.embeddings.encoder import Encoder
from llm_api.core.embeddings.gguf import find_gguf, gguf_place, open_gguf
from llm_api.core.embeddings.local import LocalEmbedder, LocalOptions
from llm_api.core.embeddings.model_files import (
    DEFAULT_NAME,
    DEFAULT_REPOSITORY,
    model_folder,
    pull_repository,
    repository,
)
from llm_api.core.embeddings.on_demand import OnDemandEmbedder
from llm_api.core.embeddings.onnx import OnnxEncoder
from llm_api.core.embeddings.sentence_transformer import (
    SentenceTransformerOptions,
    open_sentence_transformer,
)
from llm_api.core.embeddings.upstream_embedder import UpstreamEmbedderOptions, open_upstream
from llm_api.core.llm.engine.llama_model import ModelOptions
from llm_api.core.utils.machine import physical_cores
from llm_api.core.utils.traffic import Traffic
from llm_api.core.utils.work_threads import RunOnThread

_DEFAULT_NAMES = (DEFAULT_NAME, DEFAULT_REPOSITORY)


def find_embedders(
    settings: Settings, run: RunOnThread, traffic: Traffic | None = None
) -> EmbedderRegistry:
    """The embedder that the settings choose, if any. Opens nothing, fetches nothing."""
    if embedder_kind(settings) == "none":
        return EmbedderRegistry([])
    card = _card(settings)

    async def open_embedder() -> OwnedEmbedder:
        if (options := _upstream(settings)) is not None:
            return await open_upstream(card, options)
        return await _open_local(settings, card, run)

    return EmbedderRegistry([OnDemandEmbedder(card, open_embedder, traffic=traffic)])


def embedder_kind(settings: Settings) -> str:
    """What embeds: `onnx`, `sentence_transformers`, `gguf`, `upstream` or `none`.

    The default model needs no PyTorch, unless bfloat16 is asked for.
    """
    if settings.embedding_backend != "auto":
        return settings.embedding_backend
    if settings.embedding_url is not None:
        return "upstream"
    name = settings.embedding_model_name
    if name.endswith(".gguf"):
        return "gguf"
    is_onnx = name in _DEFAULT_NAMES and settings.embedding_numerics != "bfloat16"
    return "onnx" if is_onnx else "sentence_transformers"


def embedder_file(settings: Settings) -> Path | None:
    """The file of an embedding model in GGUF, here or not yet; None for one of another kind."""
    if embedder_kind(settings) != "gguf":
        return None
    return gguf_place(settings.embedding_model_name, settings.models_dir)


def _card(settings: Settings) -> EmbedderCard:
    name = settings.embedding_model_name
    is_default = name in _DEFAULT_NAMES
    path = Path(name).expanduser()
    return EmbedderCard(
        id=_id(settings),
        created=int(path.stat().st_mtime if path.exists() else time.time()),
        owned_by="llm_api",
        aliases=(*((DEFAULT_REPOSITORY,) if is_default else ()), *settings.embedding_aliases),
    )


def _upstream(settings: Settings) -> UpstreamEmbedderOptions | None:
    if settings.embedding_url is None or embedder_kind(settings) != "upstream":
        return None
    key = settings.embedding_api_key
    return UpstreamEmbedderOptions(
        url=settings.embedding_url,
        model=settings.embedding_model_name,
        api_key=None if key is None else key.get_secret_value(),
        timeout_seconds=settings.embedding_timeout_seconds,
        dimension=settings.embedding_dimension,
        query_prefix=settings.embedding_query_prefix,
        document_prefix=settings.embedding_document_prefix,
    )


def _id(settings: Settings) -> str:
    """What requests call the model: by its file or folder, or as the hub does."""
    name = settings.embedding_model_name
    if name in _DEFAULT_NAMES:
        return DEFAULT_NAME
    if embedder_kind(settings) == "gguf":
        return Path(name).stem
    return Path(name).expanduser().name if model_folder(name) else name


async def _open_local(settings: Settings, card: EmbedderCard, run: RunOnThread) -> LocalEmbedder:
    encoder = await run(partial(_open_encoder, settings))
    options = LocalOptions(
        dimension=settings.embedding_dimension,
        allows_any_dimension=settings.embedding_any_dimension,
        batch_tokens=settings.embedding_batch_tokens,
        cached_vectors=settings.embedding_cache_size,
        query_prefix=settings.embedding_query_prefix,
        document_prefix=settings.embedding_document_prefix,
    )
    return LocalEmbedder(card, encoder, run, options)


def _open_encoder(settings: Settings) -> Encoder:
    """Blocks, for as long as a fetch takes."""
    threads = settings.embedding_threads or physical_cores()
    if embedder_kind(settings) == "gguf":
        return open_gguf(
            find_gguf(settings.embedding_model_name, settings.models_dir),
            ModelOptions(gpu_layers=settings.gpu_layers, main_gpu=settings.main_gpu),
            step_tokens=settings.embedding_batch_tokens,
            threads=threads,
        )
    if embedder_kind(settings) == "onnx":
        return OnnxEncoder(_folder(settings), threads)
    return open_sentence_transformer(
        SentenceTransformerOptions(
            folder=_folder(settings),
            trusts_remote_code=settings.embedding_trust_remote_code,
            numerics=settings.embedding_numerics,
            threads=threads,
        )
    )


def _folder(settings: Settings) -> Path:
    name, revision = settings.embedding_model_name, settings.embedding_revision
    here = model_folder(name)
    return here or pull_repository(repository(name), revision, settings.models_dir)
