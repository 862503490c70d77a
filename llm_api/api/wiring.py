"""The HTTP surface as one application. Knows every router; opens nothing."""

from contextlib import AbstractAsyncContextManager
from typing import Protocol

from fastapi import FastAPI
from starlette.middleware import Middleware

from llm_api.api import docs
from llm_api.api.errors import add_error_handlers
from llm_api.api.middleware.last_resort import LastResortMiddleware
from llm_api.api.middleware.request_id import RequestIdMiddleware
from llm_api.api.routes import chat, completions, embeddings, functions, health, models
from llm_api.api.sse import DEFAULT_PING_SECONDS


class Lifespan(Protocol):
    """Opens the services at the start, calls `set_services`, and closes them at the end."""

    def __call__(self, app: FastAPI, /) -> AbstractAsyncContextManager[None]: ...


def create_api(
    lifespan: Lifespan | None = None,
    *,
    version: str,
    ping_seconds: float = DEFAULT_PING_SECONDS,
) -> FastAPI:
    """The application without its services: routes, errors, middleware, documentation.

    Before the first request somebody has to call `set_services`: the `lifespan`, or a test.
    """
    app = FastAPI(
        title="llm_api",
        version=version,
        description=docs.DESCRIPTION,
        openapi_tags=docs.TAGS,
        docs_url=None,
        redoc_url=None,
        # A redirect would lose the envelope, and follow whatever Host header was sent.
        redirect_slashes=False,
        lifespan=lifespan,
        middleware=[Middleware(RequestIdMiddleware), Middleware(LastResortMiddleware)],
    )
    app.state.ping_seconds = ping_seconds
    add_error_handlers(app)
    for resource in (chat, completions, embeddings, functions, models, health):
        app.include_router(resource.router)
    docs.add_docs(app)
    return app
