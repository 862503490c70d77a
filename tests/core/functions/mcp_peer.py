"""An MCP server of the official SDK as a program of its own, for what talks to one.

`python mcp_peer.py` speaks over stdio; `python mcp_peer.py PORT ERA` over HTTP, where it wants the
header `Authorization: Bearer sesame`. In the era `handshake` it knows no protocol without sessions.
"""

import asyncio
import os
import sys
from pathlib import Path

import uvicorn
from mcp.server import MCPServer
from mcp.types import (
    CallToolResult,
    ContentBlock,
    EmbeddedResource,
    ImageContent,
    TextContent,
    TextResourceContents,
)
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

server = MCPServer("peer", log_level="ERROR")


@server.tool()
def add(a: int, b: int = 1) -> dict[str, int]:
    """Add two numbers."""
    return {"sum": a + b}


@server.tool(structured_output=False)
def say(text: str) -> str:
    return text


@server.tool(structured_output=False)
def picture() -> list[ContentBlock]:
    return [
        TextContent(text="A dot:"),
        ImageContent(data="QUJD", mime_type="image/png"),
        EmbeddedResource(resource=TextResourceContents(uri="file:///a", text="words")),
    ]


@server.tool()
def fail() -> CallToolResult:
    return CallToolResult(content=[TextContent(text="No such thing in /etc.")], is_error=True)


@server.tool()
def surroundings() -> dict[str, object]:
    return {"pid": os.getpid(), "cwd": str(Path.cwd()), "environment": dict(os.environ)}


@server.tool()
async def wait(file: str) -> None:
    """Waits for ever, and writes down how far it got."""
    await asyncio.to_thread(Path(file).write_text, "began")
    try:
        await asyncio.sleep(60)
    except asyncio.CancelledError:
        Path(file).write_text("cancelled")  # noqa: ASYNC240 - a word
        raise


@server.tool()
def complain(text: str) -> None:
    sys.stderr.write(f"{text}\n")


@server.tool()
def die() -> None:
    os._exit(1)


@server.tool(name="files.read/all ü")
def oddly_named() -> dict[str, bool]:
    return {"found": True}


def guarded(app: ASGIApp, era: str) -> ASGIApp:
    async def guard(scope: Scope, receive: Receive, send: Send) -> None:
        headers = dict(scope.get("headers", ()))
        is_modern = headers.get(b"mcp-protocol-version", b"") >= b"2026"
        if scope["type"] != "http":
            await app(scope, receive, send)
        elif headers.get(b"authorization") != b"Bearer sesame":
            await Response(status_code=401)(scope, receive, send)
        elif era == "handshake" and is_modern:
            await Response(status_code=404)(scope, receive, send)
        else:
            await app(scope, receive, send)

    return guard


def main(port: int, era: str) -> None:
    app = guarded(server.streamable_http_app(), era)
    uvicorn.run(app, host="127.0.0.1", port=port, log_level="error")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        main(int(sys.argv[1]), sys.argv[2])
    else:
        server.run()
