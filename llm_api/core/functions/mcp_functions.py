"""The tools of MCP servers as functions: what they are called, and which servers gave none."""

import asyncio
import re
from collections.abc import AsyncGenerator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Final

from pydantic import JsonValue

from llm_api.core.errors import FunctionFailedError
from llm_api.core.functions.catalog import FunctionCatalog
from llm_api.core.functions.mcp_client import MCPClient
from llm_api.core.functions.mcp_servers import MCPServer
from llm_api.core.functions.types import FunctionSpec, Origin, Problem

_NAME: Final = re.compile(r"[a-zA-Z0-9_-]{1,64}")
_UNFIT: Final = re.compile(r"[^a-zA-Z0-9_-]")


@dataclass(frozen=True, slots=True)
class MCPFunction:
    """A tool of a server. `tool` is its name there; the server checks the arguments."""

    spec: FunctionSpec
    origin: Origin
    timeout_seconds: float | None
    client: MCPClient
    tool: str

    async def call(self, arguments: Mapping[str, JsonValue]) -> str:
        return await self.client.call(self.tool, arguments)


@asynccontextmanager
async def open_mcp_servers(
    servers: Iterable[MCPServer], catalog: FunctionCatalog
) -> AsyncGenerator[None, None]:
    """Add every server's tools to the catalog; a server that cannot be used is a problem there.

    Waits for all servers at once, for each no longer than it may take to start, so that the
    catalog is whole when the block begins. Their programs end with the block, all at the same time.
    """
    clients = [MCPClient(server) for server in servers]
    try:
        for client, tools in zip(clients, await asyncio.gather(*map(_tools, clients)), strict=True):
            _add(client, tools, catalog)
        yield
    finally:
        await asyncio.gather(*(client.aclose() for client in clients))


def offered_name(tool: str, server: str, catalog: FunctionCatalog) -> str:
    """What a tool is called here. Pure.

    Its own name if that is letters, digits, `_` and `-`, 64 at most, and not taken; else
    `<server>_<tool>` with `_` for every other character, cut to 64.
    """
    if _NAME.fullmatch(tool) and tool not in catalog:
        return tool
    return _UNFIT.sub("_", f"{server}_{tool}")[:64]


async def _tools(client: MCPClient) -> tuple[FunctionSpec, ...] | FunctionFailedError:
    try:
        return await client.tools()
    except FunctionFailedError as error:
        return error


def _add(
    client: MCPClient,
    tools: tuple[FunctionSpec, ...] | FunctionFailedError,
    catalog: FunctionCatalog,
) -> None:
    server = client.server
    origin = Origin("mcp", server.name)
    if isinstance(tools, FunctionFailedError):
        catalog.report(Problem(origin, tools.message))
        return
    for tool in tools:
        spec = replace(tool, name=offered_name(tool.name, server.name, catalog))
        catalog.add(MCPFunction(spec, origin, server.timeout_seconds, client, tool.name))
