"""`/mcp`, opened by its first request: the library takes half a second of every start to import."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.types import Receive, Scope, Send

from llm_api.core.functions.runner import Functions

if TYPE_CHECKING:
    from llm_api.api.mcp_server import MCPEndpoint

MCP_PATH = "/mcp"


class MCPOnDemand:
    """The ASGI application of `/mcp`. Answers while `serving()` is entered."""

    def __init__(self, functions: Callable[[Request], Functions], *, version: str) -> None:
        self._functions = functions
        self._version = version
        self._end: asyncio.Event | None = None
        self._opened: asyncio.Future[MCPEndpoint] | None = None
        self._task: asyncio.Task[None] | None = None

    @asynccontextmanager
    async def serving(self) -> AsyncGenerator[None, None]:
        """Calls that still run at the end of the block are cancelled."""
        self._end = asyncio.Event()
        try:
            yield
        finally:
            self._end.set()
            if self._task is not None:
                await self._task
            self._end = self._opened = self._task = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if self._end is None:
            raise RuntimeError("the application's lifespan was not entered")
        if self._opened is None:
            self._opened = asyncio.get_running_loop().create_future()
            # A task of its own, because what the library opens it also closes there.
            self._task = asyncio.create_task(self._serve(self._opened, self._end))
        endpoint = await asyncio.shield(self._opened)
        await endpoint(scope, receive, send)

    async def _serve(self, opened: "asyncio.Future[MCPEndpoint]", end: asyncio.Event) -> None:
        try:
            endpoint_class = await asyncio.to_thread(_imported)
            endpoint = endpoint_class(self._functions, version=self._version)
            async with endpoint.serving():
                opened.set_result(endpoint)
                await end.wait()
        except Exception as error:  # the border: it answers this request alone
            if opened.done():
                raise
            opened.set_exception(error)
            opened.exception()  # seen, even if nobody waits any more


def _imported() -> "type[MCPEndpoint]":
    from llm_api.api.mcp_server import MCPEndpoint  # noqa: PLC0415

    return MCPEndpoint
