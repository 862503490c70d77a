"""The map of the service: settings in, application out, and the process that serves it."""

import asyncio
import gc
import logging
import os
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager, nullcontext
from dataclasses import dataclass, replace
from functools import partial
from importlib.metadata import version
from math import ceil
from pathlib import Path
from runpy import run_module
from tempfile import TemporaryDirectory
from typing import TypeAlias

import uvicorn
from fastapi import FastAPI

from llm_api.api.deps import set_services
from llm_api.api.draining import draining_of
from llm_api.api.http.bounded_head import BoundedHeadProtocol
from llm_api.api.metrics.sharing import WorkersFolder
from llm_api.api.wiring import create_api
from llm_api.assembly.embedders import embedder_kind
from llm_api.assembly.entrance import Entrance, open_entrance
from llm_api.assembly.plan import Plan, plan
from llm_api.assembly.retrieval import has_own_store, tell_unreachable_store
from llm_api.assembly.services import Services, open_services
from llm_api.config.settings import Settings
from llm_api.core.llm.files.memory import in_words
from llm_api.core.utils.freed_memory import return_freed_memory
from llm_api.core.utils.logs import configure_logs
from llm_api.server import (
    Server,
    allow_descriptors,
    let_streams_finish,
    listening_sockets,
    watch_descriptors,
)
from llm_api.workers import serve_workers

log = logging.getLogger(__name__)

OnLoad: TypeAlias = Callable[[Services, Exception | None], Awaitable[None]]

_CLOSING_SECONDS = 2
"""How long connections may take to close after the last answer."""


def create_app(settings: Settings) -> FastAPI:
    """The application that the settings mean. Opens nothing until it is started.

    Raises ConfigurationError for a bad file, and where others could reach a server that asks for no
    key.
    """
    return _app(plan(settings), open_entrance(settings))


def _app(
    planned: Plan,
    entrance: Entrance,
    on_load: OnLoad | None = None,
    metrics_folder: WorkersFolder | None = None,
) -> FastAPI:
    """The application that serves a plan.

    `on_load` is called once, on the event loop, when every model that is loaded at the start has
    been, or one has failed to: then with the error.
    """
    settings, access, tracer = planned.settings, entrance.access, entrance.tracer

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncGenerator[None, None]:
        async with (
            tracer or nullcontext(),
            aclosing(access.limiter),
            open_services(planned, access) as services,
        ):
            set_services(app, services)
            allow_descriptors(settings.max_connections)
            watches = (
                asyncio.create_task(_watch(services, settings, on_load)),
                asyncio.create_task(tell_unreachable_store(settings)),
                asyncio.create_task(watch_descriptors()),
                asyncio.create_task(return_freed_memory()),
            )
            yield
            for watch in watches:
                watch.cancel()

    app = create_api(
        lifespan,
        version=version("llm_api"),
        ping_seconds=settings.sse_ping_seconds,
        access=access,
        tracer=tracer,
        metrics_folder=metrics_folder,
    )
    app.state.ollama_port = settings.ollama_port
    if not settings.page:
        app.state.page = None
    return app


async def _watch(services: Services, settings: Settings, on_load: OnLoad | None) -> None:
    error = None
    try:
        await services.models.load_startup_models()
        if settings.embedding_dimension is not None and _embeds_here(settings):
            await services.embedders.default().token_counter()  # it is opened, or says why not
    except Exception as failure:  # noqa: BLE001 - whatever it is, it must not go unseen
        error = failure
    if on_load is not None:
        await on_load(services, error)


def _embeds_here(settings: Settings) -> bool:
    return embedder_kind(settings) not in ("none", "upstream")


@dataclass(frozen=True, slots=True)
class Greeting:
    """Where the server is reached, and what it serves, now that it answers.

    `ollama_port` is another port, where Ollama's clients look for it.
    """

    url: str
    models: tuple[str, ...]
    ollama_port: int | None = None


def serve(planned: Plan, entrance: Entrance, greet: Callable[[Greeting], None]) -> None:
    """Serve until a signal ends it; call `greet` once the models answer. Blocks.

    The files of the plan have been found. SIGTERM ends the server, and does not kill the process.
    To be called in the main thread, as signals are.

    Raises ModelFileError where a model cannot be loaded at the start. Where the address is taken,
    uvicorn says so and ends the process with status 1.
    """
    settings = planned.settings
    failures: list[Exception] = []

    async def on_load(services: Services, error: Exception | None) -> None:
        if error is None:
            _spare_the_collector()
            await server.listens.wait()
            greet(replace(_greeting(server, services), ollama_port=settings.ollama_port))
        else:
            failures.append(error)
            server.should_exit = True

    for model in planned.find_files():
        if model.loads_at_startup:
            said = in_words(model.needed, model.room)
            context = model.card.context_length
            log.info("loading %s: context of %s tokens; %s", model.card.id, context, said)
    if settings.workers > 1:
        _serve_workers(planned, greet)
        return
    app = _app(planned, entrance, on_load)
    config = _uvicorn_config(app, settings, _CLOSING_SECONDS)
    server = Server(config, draining_of(app).drain, settings.drain_seconds)
    server.run(listening_sockets(config, settings.ollama_port))
    gc.freeze()  # all is closed: to look for cycles in PyTorch's modules would take seconds
    if failures:
        raise failures[0]


def _spare_the_collector() -> None:
    """What is there after the start stays: no collection looks at it again.

    Each that did would stop all requests for a fifth of a second.
    """
    gc.collect()
    gc.freeze()


async def _on_worker_load(_services: Services, error: Exception | None) -> None:
    if error is None:
        _spare_the_collector()


def _serve_workers(planned: Plan, greet: Callable[[Greeting], None]) -> None:
    settings = planned.settings
    if embedder_kind(settings) != "none" and has_own_store(settings):
        log.warning("documents are not served: several WORKERS need a Qdrant server, QDRANT_URL")
    names = tuple(str(model.name) for model in planned.models.models)
    with TemporaryDirectory(prefix="llm-api-") as folder:
        worker = partial(create_worker, planned, Path(folder))
        config = _uvicorn_config(worker, settings, ceil(settings.drain_seconds))
        serve_workers(
            config,
            lambda host, port: greet(Greeting(_url(host, port), names, settings.ollama_port)),
            settings.ollama_port,
        )


def create_worker(planned: Plan, metrics_folder: Path) -> FastAPI:
    """The application in another process, which begins with nothing but these arguments."""
    configure_logs(planned.settings.log_level)
    let_streams_finish()
    try:
        folder = WorkersFolder(metrics_folder, str(os.getpid()))
        entrance = open_entrance(planned.settings)
        return _app(planned, entrance, _on_worker_load, folder)
    except Exception:
        # Beyond this border multiprocessing would print the traceback past the log.
        log.exception("the worker cannot start")
        raise SystemExit(1) from None


def _uvicorn_config(
    app: FastAPI | Callable[[], FastAPI], settings: Settings, closing_seconds: int
) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        factory=not isinstance(app, FastAPI),
        http=BoundedHeadProtocol,
        ws="none",
        proxy_headers=False,
        host=settings.host,
        port=settings.port,
        workers=settings.workers,
        limit_concurrency=settings.max_connections,
        log_config=None,  # its loggers hand on to ours
        log_level="warning",
        timeout_graceful_shutdown=closing_seconds,
        server_header=False,
    )


def _greeting(server: uvicorn.Server, services: Services) -> Greeting:
    host, port = server.servers[0].sockets[0].getsockname()[:2]
    return Greeting(_url(host, port), tuple(card.id for card in services.models.cards()))


def _url(host: str, port: int) -> str:
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


if __name__ == "__main__":
    run_module("llm_api", run_name="__main__")
