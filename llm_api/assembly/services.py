"""The composition root: every service, wired by constructor and closed in reverse."""

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from llm_api.api.policy import Access
from llm_api.assembly.administration import open_administration
from llm_api.assembly.embedders import embedder_kind, find_embedders
from llm_api.assembly.files import file_options
from llm_api.assembly.functions import open_functions
from llm_api.assembly.local_models import FoundModel
from llm_api.assembly.models import counted, open_models, open_response_cache
from llm_api.assembly.pins import pinning_functions
from llm_api.assembly.plan import Plan
from llm_api.assembly.prefixes import open_prefixes
from llm_api.assembly.reranker import open_reranker
from llm_api.assembly.retrieval import (
    VectorStoreOptions,
    file_limits,
    has_own_store,
    open_retrieval,
    open_vector_store,
)
from llm_api.assembly.state import new_state
from llm_api.config.settings import Settings
from llm_api.core.access.caller import Caller
from llm_api.core.access.documents import documents_of
from llm_api.core.access.key_book import KeyAdministration
from llm_api.core.access.metered import MeteredBackend
from llm_api.core.access.usage import UsageReport, keeping_usage
from llm_api.core.embeddings.embedder_registry import EmbedderRegistry
from llm_api.core.embeddings.reranker import Reranker
from llm_api.core.errors import ModelForbiddenError
from llm_api.core.files.files import FileService
from llm_api.core.files.opened import open_files
from llm_api.core.functions.runner import Functions
from llm_api.core.llm.administration.administration import ModelAdministration
from llm_api.core.llm.administration.book import ModelBook
from llm_api.core.llm.backend import Backend
from llm_api.core.llm.engine.compute_thread import ComputeThread
from llm_api.core.llm.prefix_cache.inventory import Inventory
from llm_api.core.llm.prompt.volatile import VolatileLine, volatile_lines
from llm_api.core.llm.residency.model_registry import ModelRegistry
from llm_api.core.llm.types import JSON, RequestContext
from llm_api.core.rag.answering.drafting import draft_question
from llm_api.core.rag.answering.placing import place_chunk
from llm_api.core.rag.context_job import Place
from llm_api.core.rag.contexts import WrittenLine
from llm_api.core.rag.eval_runner import Draft, EvalWriting, running_evals
from llm_api.core.rag.job_runner import running_jobs
from llm_api.core.rag.loaders.file_loader import FileLoader
from llm_api.core.rag.retrieval import Retrieval
from llm_api.core.rag.types import Chunk, Document
from llm_api.core.state.state import State
from llm_api.core.utils.jsonl_log import JSONLLog
from llm_api.core.utils.rotating_file import RotatingFile
from llm_api.core.utils.sealing import Sealer
from llm_api.core.utils.traffic import Traffic
from llm_api.core.vector_stores.bringing_in import bringing_files_in
from llm_api.core.vector_stores.expiry import expiring_stores

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Services:
    """What the API is served from. `started_at` is in Unix seconds.

    Without an embedding model there is no retrieval, nor with several workers of which each would
    keep other documents.
    """

    models: ModelRegistry
    administration: ModelAdministration
    functions: Functions
    embedders: EmbedderRegistry
    reranker: Reranker | None
    retrieval: Retrieval | None
    state: State
    keys: KeyAdministration
    usage: UsageReport
    files: FileService
    loader: FileLoader
    sealer: Sealer
    mcp_allowed_urls: tuple[str, ...]
    request_log: JSONLLog
    logs_content: bool
    configuration: Mapping[str, JSON]
    generate_max_tokens: int
    strict_parameters: bool
    serves_unknown_models: bool
    volatile_lines: tuple[VolatileLine, ...]
    started_at: float
    compute: ComputeThread
    prefixes: Inventory

    @property
    def is_ready(self) -> bool:
        """Whether every model that is loaded at the start answers, and something computes."""
        return self.models.is_ready and not self.compute.is_stuck


@asynccontextmanager
async def open_services(planned: Plan, access: Access) -> AsyncGenerator[Services, None]:
    """Everything, closed in reverse on exit. Logs which functions could not be loaded.

    `access` says what the keys may whose work goes on in the background.

    Raises what `Plan.find_files` raises.
    """
    settings = planned.settings
    files = await asyncio.to_thread(planned.find_files)
    book = ModelBook(settings.data_dir / "models.json")
    traffic = Traffic()
    async with (
        aclosing(open_request_log(settings)) as request_log,
        aclosing(ComputeThread()) as compute,
        aclosing(new_state(settings)) as state,
        keeping_usage(access.usage, state) as usage,
        open_files(file_options(settings), state) as stored_files,
        FileLoader(file_limits(settings), processes=1) as loader,
        open_response_cache(settings) as wrap,
        open_prefixes(settings, files, compute, access) as prefixes,
        open_models(
            planned.models, files, compute, counted(traffic, wrap), book, prefixes
        ) as models,
        open_administration(planned, files, compute, models, book, prefixes) as administration,
        open_embedders(settings, compute, traffic) as embedders,
        open_reranker(settings, compute) as reranker,
        _open_retrieval(settings, embedders, reranker, state, stored_files, access) as retrieval,
        _running_evals(state, retrieval, access, models, traffic),
        open_functions(planned.functions) as functions,
        pinning_functions(_loaded_at_start(planned, files), models, functions),
    ):
        for problem in functions.catalog.problems():
            log.warning("functions: %s", problem)
        yield Services(
            models,
            administration,
            functions,
            embedders,
            reranker,
            retrieval,
            state,
            access.keys,
            usage,
            stored_files,
            loader,
            open_sealer(settings),
            settings.mcp_allowed_urls,
            request_log,
            settings.log_content,
            planned.configuration,
            settings.generate_max_tokens,
            settings.strict_parameters,
            settings.unknown_model == "default",
            volatile_lines(settings.volatile_lines),
            started_at=time.time(),
            compute=compute,
            prefixes=Inventory(prefixes, compute.run),
        )


def _loaded_at_start(planned: Plan, files: Sequence[FoundModel]) -> list[tuple[str, Settings]]:
    return [
        (found.card.id, model.settings)
        for model, found in zip(planned.models.gguf, files, strict=True)
        if model.loads_at_startup
    ]


def open_sealer(settings: Settings) -> Sealer:
    """What encrypts, with the keys of the settings, or one of this folder."""
    keys = settings.encryption_keys
    return Sealer(
        settings.data_dir / "encryption.key",
        () if keys is None else keys.get_secret_value().split(","),
    )


def open_request_log(settings: Settings) -> JSONLLog:
    """The log, whose file is opened by its first record."""
    file = RotatingFile(settings.log_file, settings.log_max_bytes, settings.log_backups)
    return JSONLLog(file, f"request log {settings.log_file}")


@asynccontextmanager
async def open_embedders(
    settings: Settings, compute: ComputeThread, traffic: Traffic | None = None
) -> AsyncGenerator[EmbedderRegistry, None]:
    """The embedder that the settings choose, opened by its first request; freed on exit.

    PyTorch and ONNX Runtime compute on a separate thread, llama.cpp on that of the engines.
    """
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="embeddings") as thread:
        own = partial(asyncio.get_running_loop().run_in_executor, thread)
        run = compute.run if embedder_kind(settings) == "gguf" else own
        async with aclosing(find_embedders(settings, run, traffic)) as embedders:
            yield embedders


@asynccontextmanager
async def _open_retrieval(
    settings: Settings,
    embedders: EmbedderRegistry,
    reranker: Reranker | None,
    state: State,
    files: FileService,
    access: Access,
) -> AsyncGenerator[Retrieval | None, None]:
    if not embedders.cards() or (settings.workers > 1 and has_own_store(settings)):
        yield None
        return
    async with open_retrieval(settings, embedders.default(), state, reranker) as retrieval:

        def retrieval_of(owner: str) -> Retrieval:
            caller = access.caller(owner)
            caller.require("rag")
            return documents_of(caller, retrieval)

        async with (
            running_jobs(state, retrieval_of),
            bringing_files_in(state, files, retrieval, retrieval_of),
            expiring_stores(state, retrieval),
        ):
            yield retrieval


@asynccontextmanager
async def _running_evals(
    state: State,
    retrieval: Retrieval | None,
    access: Access,
    models: ModelRegistry,
    traffic: Traffic,
) -> AsyncGenerator[None, None]:
    """Inside, evals are run for which a model writes, if there are documents."""
    if (library := retrieval) is None:
        yield
        return

    def retrieval_of(owner: str) -> Retrieval:
        caller = access.caller(owner)
        caller.require("rag")
        return documents_of(caller, library)

    def draft_of(owner: str, model: str) -> Draft:
        return partial(draft_question, _backend_of(access.caller(owner), models, model))

    def place_of(owner: str, model: str) -> Place:
        backend = _backend_of(access.caller(owner), models, model, is_idle=True)

        async def place(document: Document, chunk: Chunk) -> WrittenLine | None:
            return await traffic.quietly(partial(place_chunk, backend, document, chunk))

        return place

    open_trial = partial(open_vector_store, VectorStoreOptions(Path(), is_in_memory=True))
    async with running_evals(state, retrieval_of, EvalWriting(draft_of, place_of, open_trial)):
        yield


def _backend_of(
    caller: Caller, models: ModelRegistry, model: str, *, is_idle: bool = False
) -> Backend:
    """A model as this caller may use it now. Raises ModelForbiddenError, PermissionDeniedError."""
    caller.require("generate")
    backend = models.resolve(model)
    if not caller.may_use((backend.card.id, *backend.card.aliases)):
        raise ModelForbiddenError(f"This API key has no access to `{model}` any more.")
    context = RequestContext(caller.key.sharing_scope, is_whole=True, is_idle=is_idle)
    return MeteredBackend(backend, caller, context)
