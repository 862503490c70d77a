"""The HTTP surface as one application. Knows every router; opens nothing."""

from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from typing import Protocol

from fastapi import FastAPI
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from llm_api.api import docs
from llm_api.api.built_page import BuiltPage
from llm_api.api.deps import services_for, services_of
from llm_api.api.draining import Draining, DrainingMiddleware
from llm_api.api.engine_watch import EngineWatch
from llm_api.api.errors import add_error_handlers
from llm_api.api.live_requests import LiveRequests
from llm_api.api.mcp_on_demand import MCP_PATH, MCPOnDemand
from llm_api.api.metrics.exposition import Exposition
from llm_api.api.metrics.requests import RequestMetrics
from llm_api.api.metrics.sharing import WorkersFolder
from llm_api.api.middleware.body_limit import BodyLimitMiddleware
from llm_api.api.middleware.gate import GateMiddleware
from llm_api.api.middleware.host_check import HostCheckMiddleware
from llm_api.api.middleware.last_resort import LastResortMiddleware
from llm_api.api.middleware.rate_limit import RateLimitMiddleware
from llm_api.api.middleware.reporting import ReportingMiddleware
from llm_api.api.middleware.request_id import RequestIdMiddleware
from llm_api.api.middleware.served_path import ServedPathMiddleware
from llm_api.api.middleware.tracing import Tracer, TracingMiddleware
from llm_api.api.policy import Access
from llm_api.api.responding.background import BackgroundResponses
from llm_api.api.routes import (
    administration,
    cache,
    chat,
    completions,
    conversations,
    embeddings,
    files,
    functions,
    infill,
    keys,
    live,
    messages,
    models,
    page,
    plain,
    rerank,
    responses,
    server_info,
    stored_responses,
    threads,
    tokens,
    uploads,
)
from llm_api.api.routes.ollama import administration as ollama_administration
from llm_api.api.routes.ollama import chat as ollama_chat
from llm_api.api.routes.ollama import embed as ollama_embed
from llm_api.api.routes.ollama import listing as ollama_listing
from llm_api.api.routes.rag import chat as rag_chat
from llm_api.api.routes.rag import (
    collections,
    documents,
    evals,
    ingests,
    report,
    search,
    sync,
    urls,
)
from llm_api.api.routes.rag import files as rag_files
from llm_api.api.routes.vector_stores import files as store_files
from llm_api.api.routes.vector_stores import stores as vector_stores
from llm_api.api.sse import DEFAULT_PING_SECONDS

_DOCUMENT_RESOURCES = (
    documents,
    rag_files,
    sync,
    urls,
    ingests,
    collections,
    report,
    search,
    evals,
    rag_chat,
)
_RESOURCES = (  # in the order in which a path is looked for
    chat,
    responses,
    messages,
    threads,
    stored_responses,
    completions,
    ollama_chat,
    ollama_administration,
    ollama_embed,
    ollama_listing,
    infill,
    conversations,
    embeddings,
    rerank,
    tokens,
    functions,
    files,
    uploads,
    store_files,
    vector_stores,
    *_DOCUMENT_RESOURCES,
    administration,
    models,
    keys,
    plain,
    live,
    cache,
    server_info,
)


class Lifespan(Protocol):
    """Opens the services at the start, calls `set_services`, and closes them at the end."""

    def __call__(self, app: FastAPI, /) -> AbstractAsyncContextManager[None]: ...


def create_api(
    lifespan: Lifespan | None = None,
    *,
    version: str,
    ping_seconds: float = DEFAULT_PING_SECONDS,
    access: Access | None = None,
    tracer: Tracer | None = None,
    metrics_folder: WorkersFolder | None = None,
) -> FastAPI:
    """The application without its services: routes, errors, middleware, documentation.

    Before the first request somebody has to call `set_services`: the `lifespan`, or a test.
    Without `access`, that of a server on loopback holds. Several workers share `metrics_folder`.
    The state's `ollama_port` is where it says that it is Ollama; without its `page`, a browser
    sees none.
    """
    draining = Draining()
    background = BackgroundResponses(draining)
    access = access or Access()
    metrics = RequestMetrics()
    live_requests = LiveRequests()
    exposition = Exposition(metrics, lambda: services_of(app), version, metrics_folder)

    @asynccontextmanager
    async def life(app: FastAPI) -> AsyncGenerator[None, None]:
        # The services last longer than the calls that come through MCP.
        services = lifespan(app) if lifespan else nullcontext()
        async with services, exposition.shared(), mcp.serving(), background.serving():
            yield

    app = FastAPI(
        title="llm_api",
        version=version,
        description=docs.DESCRIPTION,
        openapi_tags=docs.TAGS,
        docs_url=None,
        openapi_url=None,  # `docs` has it, with the prefix of a proxy
        redoc_url=None,
        # A redirect would lose the envelope, and follow whatever Host header was sent.
        redirect_slashes=False,
        lifespan=life,
        middleware=_middleware(access, draining, (metrics, live_requests), tracer),
    )
    app.state.ping_seconds = ping_seconds
    app.state.ollama_port = None
    app.state.page = BuiltPage(page.BUILT)
    app.state.draining = draining
    app.state.live_requests = live_requests
    app.state.engine_watch = EngineWatch(draining)
    app.state.worker = None if metrics_folder is None else metrics_folder.worker
    app.state.exposition = exposition
    app.state.background = background
    add_error_handlers(app)
    for resource in _RESOURCES:
        app.include_router(resource.router)
    app.include_router(page.router)
    mcp = MCPOnDemand(lambda request: services_for(request).functions, version=version)
    # Without sessions there is nothing to GET or to DELETE.
    app.router.routes.append(Route(MCP_PATH, mcp, methods=["POST"]))
    docs.add_docs(app)
    return app


def _middleware(
    access: Access,
    draining: Draining,
    reported: tuple[RequestMetrics, LiveRequests],
    tracer: Tracer | None,
) -> list[Middleware]:
    """From the outermost on. A preflight request needs no key."""
    cross_origin = Middleware(
        CORSMiddleware,
        allow_origins=access.cors_origins,
        allow_methods=["GET", "POST", "PUT", "PATCH", "DELETE"],
        allow_headers=["*"],
        expose_headers=["*"],
    )
    return [
        Middleware(ServedPathMiddleware, access),
        Middleware(RequestIdMiddleware),
        *([] if tracer is None else [Middleware(TracingMiddleware, tracer)]),
        Middleware(ReportingMiddleware, *reported),
        *([cross_origin] if access.cors_origins else []),
        Middleware(LastResortMiddleware),
        Middleware(DrainingMiddleware, draining=draining),
        Middleware(HostCheckMiddleware, access),
        Middleware(GateMiddleware, access),
        Middleware(RateLimitMiddleware),
        Middleware(BodyLimitMiddleware, access),
        Middleware(HeadMiddleware),
    ]


class HeadMiddleware:
    """Answers HEAD as GET, without the body. Innermost, so that all others see a HEAD."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http" or scope["method"] != "HEAD":
            await self.app(scope, receive, send)
            return

        async def without_body(message: Message) -> None:
            # uvicorn takes the length that the headers of a HEAD tell, though no body is sent.
            scope["method"] = "HEAD"
            if message["type"] == "http.response.body":
                message = {**message, "body": b""}
            await send(message)

        scope["method"] = "GET"
        try:
            await self.app(scope, receive, without_body)
        finally:
            scope["method"] = "HEAD"
