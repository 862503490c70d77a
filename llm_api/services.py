"""The composition root: every service, wired by constructor and closed in reverse."""

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from llm_api.config.settings import Settings
from llm_api.core.llm.backend import ModelCard
from llm_api.core.llm.backends.llama import LlamaOptions, open_llama
from llm_api.core.llm.backends.loading import LoadingBackend
from llm_api.core.llm.engine.llama_model import ModelOptions
from llm_api.core.llm.model_files import resolve_model
from llm_api.core.llm.registry import ModelRegistry
from llm_api.core.utils.cpu import physical_cores


@dataclass(frozen=True, slots=True)
class Services:
    """What the API is served from. `started_at` is in Unix seconds."""

    models: ModelRegistry
    model: LoadingBackend
    default_max_tokens: int
    default_temperature: float
    started_at: float

    @property
    def is_ready(self) -> bool:
        """Whether the model answers."""
        return self.model.is_ready


def find_model(settings: Settings) -> Path:
    """The verified GGUF file that the settings mean, fetched first if it has to be. Blocks.

    Raises ModelFileError or DownloadError.
    """
    return resolve_model(
        model_path=settings.model_path,
        repo_id=settings.model_repo_id,
        filename=settings.model_filename,
        models_dir=settings.models_dir,
    )


@asynccontextmanager
async def open_services(settings: Settings) -> AsyncGenerator[Services, None]:
    """Find the model, fetch it first if it has to be, start loading it; free it on exit.

    Does not wait for the load: `services.model.wait()` does, and raises what it raised.
    Raises ModelFileError or DownloadError where there is no such file.
    """
    model_path = await asyncio.to_thread(find_model, settings)
    card = ModelCard(
        id=model_path.stem,
        created=int(model_path.stat().st_mtime),
        owned_by="llm_api",
        context_length=settings.context_length,
        aliases=settings.model_aliases,
    )
    options = LlamaOptions(
        context_length=settings.context_length,
        parallel=settings.parallel,
        max_queue=settings.max_queue,
        threads=settings.n_threads or physical_cores(),
        kv_tokens=settings.kv_tokens,
        shares_prefixes_publicly=settings.public_prefixes,
        flash_attention=settings.flash_attention,
        kv_cache_type=settings.kv_cache_type,
        model=ModelOptions(
            gpu_layers=settings.gpu_layers,
            main_gpu=settings.main_gpu,
            tensor_split=settings.tensor_split,
            use_mmap=settings.mmap,
            use_mlock=settings.mlock,
        ),
    )
    model = LoadingBackend(card, open_llama(model_path, card, options))
    models = ModelRegistry([model])
    try:
        yield Services(
            models=models,
            model=model,
            default_max_tokens=settings.max_tokens,
            default_temperature=settings.temperature,
            started_at=time.time(),
        )
    finally:
        await models.aclose()
