"""The client: sends a request, notes what arrives when. Knows sockets, not what the bytes mean.

An HTTP library takes 0.1 to 0.3 ms of a core for every chunk, and the servers need all cores.
"""

import asyncio
import json
import time
from typing import Any, cast

from scripts.bench.answer import Answer, Arrival, read_answer, split_response

HOST = "127.0.0.1"
TIMEOUT_SECONDS = 300.0
"""An answer that takes longer is cut off, and counts as lost."""


class InFlight(asyncio.Protocol):
    """A request under way on a connection of its own, which the server closes at the end."""

    def __init__(self, request: bytes) -> None:
        self.arrivals: list[Arrival] = []
        self._request = request
        self._sent = 0.0
        self._ended: asyncio.Future[float] = asyncio.get_running_loop().create_future()
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._sent = time.perf_counter()
        self._transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        self.arrivals.append(Arrival(time.perf_counter(), data))

    def connection_lost(self, exc: Exception | None) -> None:
        if not self._ended.done():
            self._ended.set_result(time.perf_counter())

    @property
    def has_ended(self) -> bool:
        return self._ended.done()

    async def answer(self) -> Answer:
        """Wait for the end, at most TIMEOUT_SECONDS. Never raises for a server's failure."""
        try:
            ended = await asyncio.wait_for(asyncio.shield(self._ended), TIMEOUT_SECONDS)
        except TimeoutError:
            ended = time.perf_counter()
        finally:
            if self._transport is not None:
                self._transport.abort()
        return read_answer(self._sent, ended, self.arrivals)


async def post(port: int, path: str, body: dict[str, Any]) -> InFlight:
    """Send a JSON request. Raises OSError where nobody listens."""
    content = json.dumps(body).encode()
    head = (
        f"POST {path} HTTP/1.1\r\nHost: {HOST}:{port}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(content)}\r\nConnection: close\r\n\r\n"
    )
    request = head.encode() + content
    loop = asyncio.get_running_loop()
    _, in_flight = await loop.create_connection(lambda: InFlight(request), HOST, port)
    return in_flight


async def get(port: int, path: str) -> tuple[int, bytes]:
    """Status and body of a GET; status 0 where nobody answers within ten seconds."""
    request = f"GET {path} HTTP/1.1\r\nHost: {HOST}:{port}\r\nConnection: close\r\n\r\n"
    try:
        reader, writer = await asyncio.open_connection(HOST, port)
    except OSError:
        return 0, b""
    try:
        writer.write(request.encode())
        raw = await asyncio.wait_for(reader.read(), 10)
    except (OSError, TimeoutError):
        return 0, b""
    finally:
        writer.close()
    return split_response(raw)
