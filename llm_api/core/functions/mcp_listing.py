"""Lists of tools as servers send them, mended before the SDK sees them.

To the SDK one tool whose `inputSchema` says no type makes the whole list invalid. Here such a tool
takes an object, and one that is no tool at all is left out: the others stay.
"""

import logging
from collections.abc import AsyncGenerator, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Final

from mcp.client import Transport
from mcp.client._transport import TransportStreams
from mcp.shared.message import SessionMessage
from mcp.types import JSONRPCResponse
from mcp.types.methods import validate_server_result
from pydantic import ValidationError

log = logging.getLogger(__name__)

_VERSION: Final = "2025-11-25"
"""The protocol by whose rules a tool is one. Earlier and later ones ask for no more."""


@asynccontextmanager
async def mended(transport: Transport, server: str) -> AsyncGenerator[TransportStreams, None]:
    """The streams of a transport; in what is read, lists of tools are mended."""
    async with transport as (reading, writing):
        yield _Mended(reading, server), writing


@dataclass(slots=True)
class _Mended:
    """A stream of the SDK's (`mcp.shared._stream_protocols.ReadStream`)."""

    stream: Any
    server: str

    @property
    def last_context(self) -> Any:
        """What the SDK keeps beside a message of some transports."""
        return getattr(self.stream, "last_context", None)

    async def receive(self) -> SessionMessage | Exception:
        return self._mend(await self.stream.receive())

    async def aclose(self) -> None:
        await self.stream.aclose()

    def __aiter__(self) -> "_Mended":
        return self

    async def __anext__(self) -> SessionMessage | Exception:
        return self._mend(await self.stream.__anext__())

    async def __aenter__(self) -> "_Mended":
        await self.stream.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool | None:
        left: bool | None = await self.stream.__aexit__(kind, error, traceback)
        return left

    def _mend(self, item: SessionMessage | Exception) -> SessionMessage | Exception:
        if isinstance(item, SessionMessage) and isinstance(item.message, JSONRPCResponse):
            result = item.message.result
            if isinstance(tools := result.get("tools"), list):
                result["tools"] = list(mended_tools(tools, self.server))
        return item


def mended_tools(tools: list[Any], server: str) -> Iterator[dict[str, Any]]:
    """The tools that can be called, each with the schema of an object. Logs what is left out."""
    for tool in tools:
        whole = _with_schema(tool) if isinstance(tool, dict) else {}
        if _is_tool(whole):
            yield whole
        else:
            name = str(whole.get("name"))[:64]
            log.warning("the MCP server %s has a tool that cannot be called: %r", server, name)


def _is_tool(tool: Mapping[str, Any]) -> bool:
    try:
        validate_server_result("tools/list", _VERSION, {"tools": [tool]})
    except ValidationError:
        return False
    return True


def _with_schema(tool: Mapping[str, Any]) -> dict[str, Any]:
    """The tool with an object for its arguments, where its schema says no other type."""
    schema = tool.get("inputSchema")
    if schema is None or isinstance(schema, dict):
        said = {name: value for name, value in (schema or {}).items() if value is not None}
        schema = {"type": "object", **said}
    return {**tool, "inputSchema": schema}
