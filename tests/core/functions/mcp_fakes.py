"""MCP servers to connect to: `mcp_peer.py` and worse, started as programs."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from llm_api.core.functions.mcp_servers import Endpoint, MCPServer, Program
from tests.live import wait_until

PEER = str(Path(__file__).with_name("mcp_peer.py"))
AUTHORIZATION = {"Authorization": "Bearer sesame"}


def stdio_peer(name: str = "peer", **program: object) -> MCPServer:
    return MCPServer(name, Program(sys.executable, (PEER,), **program), 30)  # type: ignore[arg-type]


def script(code: str, start_seconds: float = 30) -> MCPServer:
    """A program that is no MCP server."""
    return MCPServer("script", Program(sys.executable, ("-c", code)), start_seconds)


_LISTING = """
import json, sys

for line in sys.stdin:
    asked = json.loads(line)
    if "id" not in asked:
        continue
    answers = {
        "initialize": {
            "protocolVersion": "2025-06-18",
            "capabilities": {"tools": {}},
            "serverInfo": {"name": "listing", "version": "1"},
        },
        "tools/list": json.loads(sys.argv[1]),
        "tools/call": {"content": [{"type": "text", "text": "done"}]},
    }
    answer = {"jsonrpc": "2.0", "id": asked["id"]}
    if asked["method"] in answers:
        answer["result"] = answers[asked["method"]]
    else:
        answer["error"] = {"code": -32601, "message": "no such method"}
    print(json.dumps(answer), flush=True)
"""


def listing(*tools: object) -> MCPServer:
    """A server that lists its tools in just these words, which the SDK's own would not write."""
    return paging({"tools": tools})


def paging(page: dict[str, object]) -> MCPServer:
    """A server whose every page of tools is this one."""
    program = Program(sys.executable, ("-c", _LISTING, json.dumps(page)))
    return MCPServer("listing", program, start_seconds=30)


def http_peer(url: str, headers: dict[str, str] = AUTHORIZATION) -> MCPServer:
    return MCPServer("peer", Endpoint(url, headers), 30)


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


@contextmanager
def serving_peer(port: int, era: str = "modern") -> Iterator[str]:
    """The peer over HTTP, killed at the end. Yields its URL."""
    process = subprocess.Popen([sys.executable, PEER, str(port), era])  # noqa: S603 - our own
    try:
        wait_until(lambda: accepts(port), 30)
        yield f"http://127.0.0.1:{port}/mcp"
    finally:
        process.kill()
        process.wait()


def accepts(port: int) -> bool:
    with socket.socket() as attempt:
        return attempt.connect_ex(("127.0.0.1", port)) == 0


def kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: is_gone(pid))


def is_gone(pid: int) -> bool:
    """Whether no such process runs; one that waits to be reaped does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):  # before it was opened, or since
        return True
