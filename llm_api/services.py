"""The composition root: every service, wired by constructor and closed in reverse."""

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from llm_api.config.chosen_models import ChosenModel, ChosenModels
from llm_api.config.config_file import load_config_file
from llm_api.config.effective import effective_configuration
from llm_api.config.settings import ConfigurationError, Settings
from llm_api.core.embeddings.registry import EmbedderRegistry
from llm_api.core.errors import DownloadError, ModelFileError
from llm_api.core.functions.mcp_servers import MCPServer
from llm_api.core.functions.opening import FunctionOptions, Functions, open_functions
from llm_api.core.llm.backend import GenerationDefaults, ModelCard
from llm_api.core.llm.backends.llama import LlamaOptions, open_llama
from llm_api.core.llm.engine.compute_thread import ComputeThread
from llm_api.core.llm.engine.llama_model import ModelOptions
from llm_api.core.llm.keeper import KeptModel
from llm_api.core.llm.memory_estimate import resident_bytes
from llm_api.core.llm.model_files import resolve_model
from llm_api.core.llm.model_parts import read_model
from llm_api.core.llm.registry import ModelRegistry
from llm_api.core.llm.residency import ResidencyLimits
from llm_api.core.llm.types import JSON
from llm_api.core.rag.retrieval import Retrieval
from llm_api.core.utils.byte_size import format_bytes
from llm_api.core.utils.cpu import physical_cores
from llm_api.core.utils.jsonl_log import JSONLLog
from llm_api.core.utils.rotating_file import RotatingFile
from llm_api.open_embedder import embedder_kind, find_embedders
from llm_api.open_retrieval import open_retrieval

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Services:
    """What the API is served from. `started_at` is in Unix seconds.

    Without an embedding model there is no retrieval.
    """

    models: ModelRegistry
    functions: Functions
    embedders: EmbedderRegistry
    retrieval: Retrieval | None
    request_log: JSONLLog
    logs_content: bool
    configuration: Mapping[str, JSON]
    generate_max_tokens: int
    started_at: float

    @property
    def is_ready(self) -> bool:
        """Whether every model that is loaded at the start answers."""
        return self.models.is_ready


@dataclass(frozen=True, slots=True)
class FoundModel:
    """A model on its verified file. `size_bytes` is what it is taken to need in memory."""

    card: ModelCard
    path: Path
    options: LlamaOptions
    size_bytes: int
    loads_at_startup: bool

    def kept(self, compute: ComputeThread) -> KeptModel:
        """How to open it, computing on this thread."""
        open_model = partial(open_llama, self.path, self.card, self.options, compute)
        return KeptModel(self.card, open_model, self.size_bytes, self.loads_at_startup)


def find_models(chosen: ChosenModels) -> list[FoundModel]:
    """The models on their verified files, fetched first if they have to be. Blocks.

    Raises ModelFileError or DownloadError where there is no such file, ConfigurationError where
    models are larger than the memory they may take.
    """
    models = [_find_model(model) for model in chosen.models]
    if chosen.memory_bytes is not None:
        _check_room(chosen, models, chosen.memory_bytes)
    return models


@asynccontextmanager
async def open_services(settings: Settings, chosen: ChosenModels) -> AsyncGenerator[Services, None]:
    """Everything, closed in reverse on exit. Logs which functions could not be loaded.

    Raises what `find_models` raises.
    """
    async with (
        aclosing(open_request_log(settings)) as request_log,
        aclosing(ComputeThread()) as compute,
        open_models(chosen, compute) as models,
        open_embedders(settings, compute) as embedders,
        _open_retrieval(settings, embedders) as retrieval,
        open_functions(function_options(settings)) as functions,
    ):
        for problem in functions.catalog.problems():
            log.warning("functions: %s", problem)
        yield Services(
            models,
            functions,
            embedders,
            retrieval,
            request_log,
            settings.log_content,
            await asyncio.to_thread(effective_configuration, settings),
            settings.generate_max_tokens,
            started_at=time.time(),
        )


def open_request_log(settings: Settings) -> JSONLLog:
    """The log, whose file is opened by its first record."""
    file = RotatingFile(settings.log_file, settings.log_max_bytes, settings.log_backups)
    return JSONLLog(file, f"request log {settings.log_file}")


@asynccontextmanager
async def open_models(
    chosen: ChosenModels, compute: ComputeThread
) -> AsyncGenerator[ModelRegistry, None]:
    """Find the models, fetch them first if they have to be; free them on exit.

    Loads none: `load_startup_models()` does, and raises what a load raised. Raises what
    `find_models` raises.
    """
    found = await asyncio.to_thread(find_models, chosen)
    limits = ResidencyLimits(chosen.memory_bytes, chosen.idle_seconds)
    kept = [model.kept(compute) for model in found]
    async with aclosing(ModelRegistry(kept, limits)) as models:
        yield models


@asynccontextmanager
async def open_embedders(
    settings: Settings, compute: ComputeThread
) -> AsyncGenerator[EmbedderRegistry, None]:
    """The embedder that the settings choose, opened by its first request; freed on exit.

    PyTorch computes on a thread of its own, llama.cpp on that of the engines.
    """
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="embeddings") as thread:
        own = partial(asyncio.get_running_loop().run_in_executor, thread)
        run = compute.run if embedder_kind(settings) == "gguf" else own
        async with aclosing(find_embedders(settings, run)) as embedders:
            yield embedders


@asynccontextmanager
async def _open_retrieval(
    settings: Settings, embedders: EmbedderRegistry
) -> AsyncGenerator[Retrieval | None, None]:
    if not embedders.cards():
        yield None
        return
    async with open_retrieval(settings, embedders.default()) as retrieval:
        yield retrieval


def function_options(settings: Settings) -> FunctionOptions:
    """What the settings and their configuration file say of functions. Blocks.

    Raises ConfigurationError.
    """
    return FunctionOptions(
        folder=settings.functions_dir,
        timeout_seconds=settings.function_timeout_seconds,
        result_bytes=settings.function_result_bytes,
        max_rounds=settings.max_tool_rounds,
        weather_geocoding_url=str(settings.weather_geocoding_url),
        weather_forecast_url=str(settings.weather_forecast_url),
        mcp_servers=_mcp_servers(settings.config_file),
    )


def _mcp_servers(config_file: Path | None) -> tuple[MCPServer, ...]:
    if config_file is None:
        return ()
    entries = load_config_file(config_file).mcp_servers
    return tuple(entry.server(name, config_file.parent) for name, entry in entries.items())


def _find_model(chosen: ChosenModel) -> FoundModel:
    settings = chosen.settings
    try:
        path = resolve_model(
            model_path=settings.model_path,
            repo_id=settings.model_repo_id,
            filename=settings.model_filename,
            models_dir=settings.models_dir,
        )
        file = read_model(path)
    except (ModelFileError, DownloadError) as error:
        if chosen.place:
            raise type(error)(f"{chosen.place}: {error.message}") from error
        raise
    card = ModelCard(
        id=chosen.name or path.stem,
        created=int(path.stat().st_mtime),
        owned_by="llm_api",
        context_length=settings.context_length,
        aliases=settings.model_aliases,
        defaults=GenerationDefaults(settings.max_tokens, settings.temperature),
        file=file,
    )
    kv_tokens = settings.kv_tokens or settings.context_length * settings.parallel
    return FoundModel(
        card,
        path,
        _llama_options(settings),
        resident_bytes(file, kv_tokens=kv_tokens, kv_cache_type=settings.kv_cache_type),
        chosen.loads_at_startup,
    )


def _llama_options(settings: Settings) -> LlamaOptions:
    return LlamaOptions(
        context_length=settings.context_length,
        parallel=settings.parallel,
        max_queue=settings.max_queue,
        threads=settings.n_threads or physical_cores(),
        kv_tokens=settings.kv_tokens,
        shares_prefixes_publicly=settings.public_prefixes,
        draft_tokens=settings.draft_tokens,
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


def _check_room(chosen: ChosenModels, models: list[FoundModel], memory_bytes: int) -> None:
    """Raises ConfigurationError where a model could never be loaded, or not all at the start."""
    room = format_bytes(memory_bytes)
    for choice, model in zip(chosen.models, models, strict=True):
        if model.size_bytes > memory_bytes:
            raise ConfigurationError(
                f"{choice.place or 'MODEL_MEMORY'}: {model.card.id} needs about"
                f" {format_bytes(model.size_bytes)} of memory, and models may take {room};"
                " lower context_length, parallel or kv_tokens, or allow more"
            )
    at_startup = sum(model.size_bytes for model in models if model.loads_at_startup)
    if at_startup > memory_bytes:
        raise ConfigurationError(
            f"the models that are loaded at the start need about {format_bytes(at_startup)} of"
            f" memory, and models may take {room}; load fewer of them, or allow more"
        )
