"""A client's connection that stays open, as SDKs keep theirs. It costs next to nothing.

asyncio's streams take twice the time of a request, and the servers need all cores.
"""

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import cast

from scripts.bench.client import HOST, TIMEOUT_SECONDS
from scripts.bench.messages import HTTPMessage, MessageReader, post_request


@dataclass(frozen=True, slots=True)
class Reply:
    """Its body is parsed when somebody wants it, after the clock has stopped."""

    status: int
    body: bytes
    seconds: float


class Connection(asyncio.Protocol):
    """Requests on it follow one another."""

    def __init__(self) -> None:
        self._reader = MessageReader()
        self._transport: asyncio.Transport | None = None
        self._reply: asyncio.Future[HTTPMessage] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        message = self._reader.feed(data)
        if message is not None and self._reply is not None and not self._reply.done():
            self._reply.set_result(message)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._reply is not None and not self._reply.done():
            self._reply.set_exception(ConnectionResetError("the server has closed the connection"))

    async def post(self, path: str, content: bytes) -> Reply:
        """Raises OSError where the server is gone, TimeoutError where it does not answer."""
        if self._transport is None or self._transport.is_closing():
            raise ConnectionResetError("the connection is closed")
        self._reply = asyncio.get_running_loop().create_future()
        began = time.perf_counter()
        self._transport.write(post_request(HOST, path, content))
        message = await asyncio.wait_for(self._reply, TIMEOUT_SECONDS)
        seconds = time.perf_counter() - began
        return Reply(int(message.first_line.split()[1]), message.body, seconds)

    def close(self) -> None:
        if self._transport is not None:
            self._transport.abort()


@asynccontextmanager
async def connect(port: int) -> AsyncGenerator[Connection, None]:
    _, connection = await asyncio.get_running_loop().create_connection(Connection, HOST, port)
    try:
        yield connection
    finally:
        connection.close()
