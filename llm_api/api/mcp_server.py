"""The functions as an MCP server: streamable HTTP, without sessions. The door of `mcp` here.

Every request stands for itself, so a second copy of this server can answer the next one. Leaving
cancels a call: a client that closes its connection, as the protocol of 2026 says it in so many
words. Older clients send `notifications/cancelled` instead, which belongs to a session, and is
acknowledged without effect.

Does not cover: who may call, and from which web page; the middleware does, for every path alike.
"""

import sys
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Any

from mcp import MCPError
from mcp.server import Server, ServerRequestContext
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from mcp.server.transport_security import TransportSecuritySettings
from mcp.types import (
    INVALID_PARAMS,
    INVALID_REQUEST,
    CallToolRequestParams,
    CallToolResult,
    ContentBlock,
    ListToolsResult,
    PaginatedRequestParams,
    TextContent,
    Tool,
)
from pydantic_core import from_json
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import Message, Receive, Scope, Send

from llm_api.api.json_body import without_mark
from llm_api.core.errors import FunctionNotFoundError
from llm_api.core.functions.runner import Functions
from llm_api.core.functions.types import FunctionResult

# Host and Origin are checked before, and the size of the body is bounded.
_NO_CHECKS = TransportSecuritySettings(enable_dns_rebinding_protection=False)


class MCPEndpoint:
    """The ASGI application of `/mcp`. Answers while `serving()` is entered."""

    def __init__(self, functions: Callable[[Request], Functions], *, version: str) -> None:
        tools = _Tools(functions)
        self._server: Server[Any] = Server(
            "llm_api",
            version=version,
            on_list_tools=tools.list_tools,
            on_call_tool=tools.call_tool,
        )
        self._manager: StreamableHTTPSessionManager | None = None

    @asynccontextmanager
    async def serving(self) -> AsyncGenerator[None, None]:
        """Calls that still run at the end of the block are cancelled."""
        manager = StreamableHTTPSessionManager(
            self._server,
            stateless=True,
            security_settings=_NO_CHECKS,
            max_request_body_size=sys.maxsize,
        )
        async with manager.run():
            self._manager = manager
            yield

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if self._manager is None:
            raise RuntimeError("the application's lifespan was not entered")
        if scope["method"] == "POST":
            body = await Request(scope, receive).body()
            if (problem := _problem(body)) is not None:
                await _refusal(problem)(scope, receive, send)
                return
            receive = _again(body, receive)
        await self._manager.handle_request(scope, without_mark(receive), send)


def _problem(body: bytes) -> str | None:
    """What keeps a body from being one JSON-RPC message, where the library would quote its types.

    None where nothing does, and where it is no JSON at all, which the library says well. Pure.
    """
    try:
        message = from_json(body)
    except ValueError:
        return None
    if not isinstance(message, dict):
        return "send one JSON-RPC 2.0 message, which is an object; batches are not taken"
    is_answer = not {"result", "error"}.isdisjoint(message)
    number = message.get("id", 0)
    demands = {
        "'jsonrpc' must be '2.0'": message.get("jsonrpc") == "2.0",
        "'method' must be a string": is_answer or isinstance(message.get("method"), str),
        "'params' must be an object": isinstance(message.get("params", {}), dict),
        "'id' must be a string or an integer": type(number) in (str, int),
    }
    return next((demand for demand, is_met in demands.items() if not is_met), None)


def _refusal(problem: str) -> Response:
    error = {"code": INVALID_REQUEST, "message": f"Invalid request: {problem}."}
    return JSONResponse({"jsonrpc": "2.0", "id": None, "error": error}, 400)


def _again(body: bytes, receive: Receive) -> Receive:
    """The body once more, then what else there is to receive."""
    messages: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive_again() -> Message:
        return messages.pop() if messages else await receive()

    return receive_again


class _Tools:
    """What an MCP client may ask of the functions there are at that moment."""

    def __init__(self, functions: Callable[[Request], Functions]) -> None:
        self._functions = functions

    async def list_tools(
        self, context: ServerRequestContext[Any], _params: PaginatedRequestParams | None
    ) -> ListToolsResult:
        specs = [function.spec for function in self._of(context).catalog.functions()]
        return ListToolsResult(
            tools=[
                Tool(
                    name=spec.name,
                    description=spec.description,
                    input_schema=dict(spec.parameters),
                )
                for spec in specs
            ]
        )

    async def call_tool(
        self, context: ServerRequestContext[Any], params: CallToolRequestParams
    ) -> CallToolResult:
        functions = self._of(context)
        try:
            function = functions.catalog.get(params.name)
        except FunctionNotFoundError as error:
            raise MCPError(INVALID_PARAMS, error.message) from error
        return _to_result(await functions.runner.run(function, params.arguments or {}))

    def _of(self, context: ServerRequestContext[Any]) -> Functions:
        """The functions of the caller whose HTTP request brought the message."""
        if context.request is None:
            raise RuntimeError("the message came without a request")
        return self._functions(context.request)


def _to_result(result: FunctionResult) -> CallToolResult:
    """A result of ours as MCP has it: an object also as such, a text without its quotes. Pure."""
    if result.error is not None:
        return CallToolResult(content=[TextContent(text=result.error.message)], is_error=True)
    value = from_json(result.content)
    text = value if isinstance(value, str) else result.content
    content: list[ContentBlock] = [TextContent(text=text)]
    if isinstance(value, dict):
        return CallToolResult(content=content, structured_content=value)
    return CallToolResult(content=content)
