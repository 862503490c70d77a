"""One MCP server's tools: listed, called, and reached again after the connection was lost.

The door of `mcp` on the client's side. Knows nothing of catalogs and runners.
"""

import asyncio
import logging
import math
import os
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from importlib.metadata import version
from typing import Final, TextIO, assert_never, cast

import anyio
import httpx2
from mcp import Client, MCPError, StdioServerParameters, stdio_client
from mcp.client import Transport
from mcp.client.streamable_http import streamable_http_client
from mcp.types import CONNECTION_CLOSED, INVALID_REQUEST, Implementation
from pydantic import JsonValue

from llm_api.core.errors import FunctionFailedError
from llm_api.core.functions.mcp_listing import mended
from llm_api.core.functions.mcp_results import bounded, to_json_text
from llm_api.core.functions.mcp_servers import Endpoint, MCPServer, Program
from llm_api.core.functions.one_line import describe
from llm_api.core.functions.types import FunctionSpec

log = logging.getLogger(__name__)

ANSWER_BYTES: Final = 16 * 1024 * 1024
"""Of an answer over HTTP: a result that is larger is of no use to a model."""

MOST_TOOLS: Final = 1000

_CLOSE_SECONDS: Final = 3
_SESSION_LOST: Final = frozenset({CONNECTION_CLOSED, INVALID_REQUEST})
"""After these codes the session is given up. INVALID_REQUEST is what the SDK makes of the 404 by
which a restarted HTTP server says that it has forgotten the session."""


@dataclass(slots=True, eq=False)
class _Session:
    """One life of the connection.

    | | `settled` | `client` | `leaving` |
    |---|---|---|---|
    | connecting | | | |
    | open | set | set | |
    | over, or about to be | set | set, unless it never opened | set |

    `scope` holds all of it: its deadline bounds the connecting, then the closing.
    """

    failure: str
    client: Client | None = None
    tools: tuple[FunctionSpec, ...] = ()
    last_status: int = 0
    scope: anyio.CancelScope = field(default_factory=anyio.CancelScope)
    settled: asyncio.Event = field(default_factory=asyncio.Event)
    leaving: asyncio.Event = field(default_factory=asyncio.Event)


class MCPClient:
    """Belongs to the running event loop. Connects when it is first used, and again after a loss.

    Each session lives in a separate task, since the SDK's task groups have to be left by the
    task that entered them; calls come from any task. Every method that talks to the server raises
    FunctionFailedError, within the server's `start_seconds` where it cannot be reached.
    """

    def __init__(self, server: MCPServer) -> None:
        self.server = server
        self._session: _Session | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def tools(self) -> tuple[FunctionSpec, ...]:
        """What the server offers, under the server's own names, as it said when it connected."""
        return (await self._opened())[0].tools

    async def call(self, tool: str, arguments: Mapping[str, JsonValue]) -> str:
        """The result as JSON text. To cancel is to cancel the request.

        A server that is lost meanwhile is an error at once; the next call connects anew. No call
        is ever sent twice.
        """
        session, client = await self._opened()
        try:
            result = await client.call_tool(tool, dict(arguments))
        except MCPError as error:
            if error.code in _SESSION_LOST:
                session.leaving.set()
            raise FunctionFailedError(f"The MCP server: {bounded(error.message)}") from error
        return to_json_text(result)

    async def aclose(self) -> None:
        """End the session, and the program that was started for it; bounded."""
        if self._session is not None:
            self._session.leaving.set()
            if self._session.client is None:
                self._session.scope.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    async def _opened(self) -> tuple[_Session, Client]:
        if self._session is None or self._session.leaving.is_set():
            self._session = self._start()
        session = self._session
        # The session has the same time. Its task then still has to stop the program.
        with anyio.move_on_after(self.server.start_seconds):
            await session.settled.wait()
        if session.client is None:
            raise FunctionFailedError(f"The MCP server cannot be used: {session.failure}")
        return session, session.client

    def _start(self) -> _Session:
        session = _Session(f"no answer within {self.server.start_seconds:g} seconds")
        task = asyncio.create_task(self._live(session), name=f"MCP server {self.server.name}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return session

    async def _live(self, session: _Session) -> None:
        scope = session.scope
        scope.deadline = anyio.current_time() + self.server.start_seconds
        try:
            with scope:
                async with AsyncExitStack() as resources:
                    client = await _connected(self.server, session, resources)
                    session.tools = await _listed(client)
                    session.client = client
                    session.settled.set()
                    scope.deadline = math.inf
                    try:
                        await session.leaving.wait()
                    finally:
                        scope.deadline = anyio.current_time() + _CLOSE_SECONDS
        except Exception as error:  # the border to servers, which may send anything
            session.failure = _in_words(error, session.last_status)
            log.debug("the MCP server %s", self.server.name, exc_info=error)
            if session.client is not None and not session.leaving.is_set():
                log.warning("the MCP server %s was lost: %s", self.server.name, session.failure)
        finally:
            session.leaving.set()
            session.settled.set()


async def _connected(server: MCPServer, session: _Session, resources: AsyncExitStack) -> Client:
    """The client of the server, connected. `resources` closes everything."""
    match server.address:
        case Program() as program:
            stderr = await resources.enter_async_context(_log_as_file(server.name))
            transport: Transport = stdio_client(_parameters(program), errlog=stderr)
        case Endpoint() as endpoint:
            http = await resources.enter_async_context(_http(endpoint, session))
            transport = streamable_http_client(endpoint.url, http_client=http)
        case _:
            assert_never(server.address)
    client_info = Implementation(name="llm_api", version=version("llm_api"))
    return await resources.enter_async_context(
        Client(mended(transport, server.name), client_info=client_info, cache=None)
    )


def _parameters(program: Program) -> StdioServerParameters:
    return StdioServerParameters(
        command=program.command, args=[*program.args], env={**program.env}, cwd=program.cwd
    )


@asynccontextmanager
async def _log_as_file(name: str) -> AsyncGenerator[TextIO, None]:
    """A file for a program to write to: its lines go to the log instead of the terminal."""
    read_end, write_end = os.pipe()
    with os.fdopen(write_end, "w") as file:
        reader, _ = await asyncio.get_running_loop().connect_read_pipe(
            lambda: _StderrLog(name), os.fdopen(read_end, "rb", 0)
        )
        try:
            yield file
        finally:
            reader.close()


class _StderrLog(asyncio.Protocol):
    """Logs what comes; where it comes in pieces, a line may be split."""

    def __init__(self, name: str) -> None:
        self._name = name

    def data_received(self, data: bytes) -> None:
        for line in data.decode(errors="replace").splitlines():
            log.debug("%s: %s", self._name, line)


def _http(endpoint: Endpoint, session: _Session) -> httpx2.AsyncClient:
    async def remember_status(response: httpx2.Response) -> None:
        session.last_status = response.status_code

    return httpx2.AsyncClient(
        headers={**endpoint.headers, "accept-encoding": "identity"},
        timeout=httpx2.Timeout(10, read=None),  # how long an answer may take, the caller says
        event_hooks={"response": [remember_status, _bound]},
    )


async def _bound(response: httpx2.Response) -> None:
    """Bound what the SDK reads as a whole. Events it bounds itself, one by one.

    Raises ReadError for an answer that was not asked to be compressed, and is: it may be of any
    size when it is unpacked.
    """
    if response.headers.get("content-encoding", "identity") != "identity":
        raise httpx2.ReadError("a compressed answer", request=response.request)
    if not response.headers.get("content-type", "").startswith("text/event-stream"):
        response.stream = _Bounded(response)


class _Bounded(httpx2.AsyncByteStream):
    """The body of an answer, up to `ANSWER_BYTES`. Raises ReadError for more."""

    def __init__(self, response: httpx2.Response) -> None:
        self._request = response.request
        self._body = cast(httpx2.AsyncByteStream, response.stream)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        size = 0
        async for part in self._body:
            size += len(part)
            if size > ANSWER_BYTES:
                raise httpx2.ReadError(f"more than {ANSWER_BYTES} bytes", request=self._request)
            yield part

    async def aclose(self) -> None:
        await self._body.aclose()


async def _listed(client: Client) -> tuple[FunctionSpec, ...]:
    """Every tool, page by page. Raises FunctionFailedError for more than anybody has."""
    page = await client.list_tools()
    tools = page.tools
    while page.next_cursor is not None:
        page = await client.list_tools(cursor=page.next_cursor)
        tools = [*tools, *page.tools]
        if len(tools) > MOST_TOOLS or not page.tools:
            raise FunctionFailedError(f"it lists more than {MOST_TOOLS} tools, or pages of none")
    return tuple(
        FunctionSpec(tool.name, tool.description or tool.title or "", tool.input_schema)
        for tool in tools
    )


def _in_words(error: BaseException, status: int) -> str:
    """What went wrong, out of the groups that the SDK wraps it in."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    answered = f" (HTTP {status})" if status >= HTTPStatus.BAD_REQUEST else ""
    return f"{describe(error)}{answered}"
