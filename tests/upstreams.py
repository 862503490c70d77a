"""A server that plays scripted answers on a real socket, for tests of clients of other servers.

It remembers what it was asked, over how many connections, and which answers nobody waited for.
"""

import asyncio
import json
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, TypeAlias

_POLL_SECONDS = 0.005

Part: TypeAlias = bytes | float
"""Bytes to send, or seconds to be silent."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A request as it arrived. `body` is its JSON, None where it had none."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: Any


@dataclass(frozen=True, slots=True)
class Reply:
    """What is answered. With `is_cut` the connection breaks instead of the answer's proper end."""

    parts: Iterable[Part] = ()
    status: int = 200
    content_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)
    is_cut: bool = False


def events(*items: object, is_cut: bool = False) -> Reply:
    """Server-sent events: bytes as they are, a float is a silence, a string is data, and so is the
    JSON of anything else."""
    return Reply(map(_event, items), content_type="text/event-stream", is_cut=is_cut)


def lines(*items: object, is_cut: bool = False) -> Reply:
    """Lines of JSON: bytes as they are, a float is a silence, the JSON of anything else."""
    return Reply(map(_line, items), content_type="application/x-ndjson", is_cut=is_cut)


def answer(body: object, status: int = 200, **headers: str) -> Reply:
    """A JSON document. In a header's name `_` stands for `-`."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Reply([json.dumps(body).encode()], status, headers=named)


def _event(item: object) -> Part:
    if isinstance(item, bytes | float):
        return item
    return f"data: {item if isinstance(item, str) else json.dumps(item)}\n\n".encode()


def _line(item: object) -> Part:
    return item if isinstance(item, bytes | float) else json.dumps(item).encode() + b"\n"


@dataclass
class StandIn:
    """`reply` answers every request; a test may replace it at any time."""

    reply: Callable[[Asked], Reply]
    url: str = ""
    asked: list[Asked] = field(default_factory=list)
    left: list[Asked] = field(default_factory=list)
    connections: int = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one connection's requests until it is closed."""
        self.connections += 1
        is_open = True
        try:
            while is_open and (asked := await _read(reader)) is not None:
                self.asked.append(asked)
                reply = self.reply(asked)
                is_whole = await _write(reply, reader, writer)
                if not is_whole:
                    self.left.append(asked)
                is_open = is_whole and not reply.is_cut
        finally:
            writer.close()


@asynccontextmanager
async def stand_in(reply: Callable[[Asked], Reply]) -> AsyncGenerator[StandIn, None]:
    """Serve on a free port of this machine until left."""
    upstream = StandIn(reply)
    serving: set[asyncio.Task[None]] = set()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        serving.add(asyncio.create_task(upstream.serve(reader, writer)))

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    upstream.url = f"http://{host}:{port}"
    try:
        yield upstream
    finally:
        server.close()
        for task in serving:
            task.cancel()
        await asyncio.gather(*serving, return_exceptions=True)


async def _read(reader: asyncio.StreamReader) -> Asked | None:
    """The next request; None at the end of the connection."""
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    except (asyncio.IncompleteReadError, ConnectionError):
        return None
    first, *rest = head.strip().split("\r\n")
    method, path, _ = first.split(" ")
    headers = {name.lower(): value.strip() for name, _, value in (x.partition(":") for x in rest)}
    body = await reader.readexactly(int(headers.get("content-length", 0)))
    return Asked(method, path, headers, json.loads(body) if body else None)


async def _write(reply: Reply, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
    """Send the answer in chunks. False if the client left before its end."""
    headers = {
        "content-type": reply.content_type,
        "transfer-encoding": "chunked",
        **reply.headers,
    }
    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    writer.write(f"HTTP/1.1 {reply.status} \r\n{head}\r\n".encode())
    try:
        for part in reply.parts:
            if isinstance(part, float):
                await _silence(reader, part)
            else:
                writer.write(b"%x\r\n%b\r\n" % (len(part), part))
                await writer.drain()
            if reader.at_eof():
                return False
        writer.write(b"" if reply.is_cut else b"0\r\n\r\n")
        await writer.drain()
    except ConnectionError:
        return False
    return True


async def _silence(reader: asyncio.StreamReader, seconds: float) -> None:
    """Wait; no longer than the client does."""
    end = asyncio.get_running_loop().time() + seconds
    while asyncio.get_running_loop().time() < end and not reader.at_eof():
        await asyncio.sleep(_POLL_SECONDS)
