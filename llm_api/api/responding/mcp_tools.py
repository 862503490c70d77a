"""The tools of MCP servers that a request names: listed before it runs, called while it does."""

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


async def list_tools(request: PromptParameters, allowed: Collection[str]) -> list[MCPOffer]:
    """What the MCP servers of a request offer. No connection stays open.

    Raises InvalidRequestError for a server that is not `allowed`, UpstreamError for one that does
    not answer.
    """
    offers = []
    for index, tool in enumerate(request.tools or []):
        if isinstance(tool, MCPTool):
            offers.append(await _listed(tool, f"tools[{index}]", allowed))
    return offers


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


async def _listed(tool: MCPTool, path: str, allowed: Collection[str]) -> MCPOffer:
    # The SDK takes a third of a second to import: only for those who use it.
    from llm_api.core.functions.mcp_client import MCPClient  # noqa: PLC0415
    from llm_api.core.functions.mcp_functions import MCPFunction  # noqa: PLC0415

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
    client = MCPClient(MCPServer(tool.server_label, Endpoint(url, headers), START_SECONDS))
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
