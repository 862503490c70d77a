"""The tools of MCP servers that a request names: listed before it runs, called while it does."""

import asyncio
from collections.abc import AsyncGenerator, Collection, Sequence
from contextlib import aclosing
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from llm_api.api.mapping.generation import refuse, required
from llm_api.api.mapping.responses.tools import MCPOffer, flat_name
from llm_api.api.models.responses.parameters import PromptParameters
from llm_api.api.models.responses.tools import ApprovalFilter, MCPTool, ToolFilter
from llm_api.core.errors import FunctionFailedError, InvalidRequestError, UpstreamError
from llm_api.core.functions.mcp_servers import Endpoint, MCPServer
from llm_api.core.functions.types import FunctionSpec, Origin
from llm_api.core.llm.backend import Backend, BorrowingBackend
from llm_api.core.llm.types import Event, GenerationRequest

if TYPE_CHECKING:
    from llm_api.core.functions.mcp_client import MCPClient

START_SECONDS: Final = 10.0
AT_ONCE: Final = 8
"""MCP servers of one request that are listed at the same time."""


async def list_tools(request: PromptParameters, allowed: Collection[str]) -> list[MCPOffer]:
    """What the MCP servers of a request offer. No connection stays open.

    Asks several at the same time. Raises InvalidRequestError for a server that is not `allowed`,
    before any is asked; UpstreamError for the first that does not answer.
    """
    named = [
        (tool, f"tools[{index}]")
        for index, tool in enumerate(request.tools or [])
        if isinstance(tool, MCPTool)
    ]
    servers = [(tool, path, _server(tool, path, allowed)) for tool, path in named]
    turns = asyncio.Semaphore(AT_ONCE)

    async def listed(tool: MCPTool, path: str, server: MCPServer) -> MCPOffer:
        async with turns:
            return await _listed(tool, path, server)

    tasks = [asyncio.create_task(listed(*one)) for one in servers]
    try:
        return await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


class ConnectedBackend(BorrowingBackend):
    """A backend whose functions reach MCP servers. They are left when its answer has ended."""

    def __init__(self, backend: Backend, offers: Sequence[MCPOffer]) -> None:
        super().__init__(backend)
        self._offers = offers

    async def generate(self, request: GenerationRequest) -> AsyncGenerator[Event, None]:
        """As `Backend.generate`."""
        try:
            async with aclosing(self._backend.generate(request)) as events:
                async for event in events:
                    yield event
        finally:
            for offer in self._offers:
                await offer.aclose()


def _server(tool: MCPTool, path: str, allowed: Collection[str]) -> MCPServer:
    """Where it is. Raises InvalidRequestError where it may not be called."""
    for name in ("connector_id", "tunnel_id"):
        if getattr(tool, name) is not None:
            refuse(f"{path}.{name}", "is not available: send a 'server_url'.")
    url = required(tool.server_url, f"{path}.server_url")
    if url not in allowed:
        raise InvalidRequestError(
            f"'{path}.server_url' is none that this server may call (MCP_ALLOWED_URLS).",
            param=f"{path}.server_url",
        )
    headers = dict(tool.headers or {})
    if tool.authorization is not None:
        headers["Authorization"] = f"Bearer {tool.authorization}"
    return MCPServer(tool.server_label, Endpoint(url, headers), START_SECONDS)


async def _listed(tool: MCPTool, path: str, server: MCPServer) -> MCPOffer:
    # The SDK takes a third of a second to import: only for those who use it.
    from llm_api.core.functions.mcp_client import MCPClient  # noqa: PLC0415
    from llm_api.core.functions.mcp_functions import MCPFunction  # noqa: PLC0415

    client = MCPClient(server)
    specs = await _specs(client, tool.server_label)
    origin = Origin("mcp", tool.server_label)
    functions = [
        MCPFunction(
            replace(spec, name=flat_name(spec.name, tool.server_label)),
            origin,
            None,
            client,
            spec.name,
        )
        for spec in specs
        if _is_in(spec.name, tool.allowed_tools, path)
    ]
    waiting = {one.tool for one in functions if _needs_leave(one.tool, tool, path)}
    return MCPOffer(tool.server_label, functions, frozenset(waiting), client.aclose)


async def _specs(client: "MCPClient", label: str) -> tuple[FunctionSpec, ...]:
    try:
        return await client.tools()
    except FunctionFailedError as error:
        raise UpstreamError(f"MCP server '{label}': {error.message}") from error
    finally:
        await client.aclose()  # a call connects anew


def _is_in(name: str, chosen: list[str] | ToolFilter | None, path: str) -> bool:
    if chosen is None:
        return True
    if isinstance(chosen, list):
        return name in chosen
    if chosen.read_only is not None:
        refuse(f"{path}.allowed_tools.read_only", "is not available: name the tools.")
    return chosen.tool_names is None or name in chosen.tool_names


def _needs_leave(name: str, tool: MCPTool, path: str) -> bool:
    """Whether a call waits for an approval: it does unless the request says otherwise."""
    wanted = tool.require_approval
    if isinstance(wanted, ApprovalFilter):
        if wanted.never is not None and _is_in(name, wanted.never, path):
            return False
        return wanted.always is None or _is_in(name, wanted.always, path)
    return wanted != "never"
