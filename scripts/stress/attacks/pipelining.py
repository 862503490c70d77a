"""Requests on one connection that do not wait for the answers. Takes no key."""

import asyncio
import contextlib
import time

from scripts.bench.client import HOST
from scripts.stress.attack import Attack, Place
from scripts.stress.case import Outcome

SECONDS = 8.0
_REQUESTS = b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n" * 2000


async def strike(place: Place) -> Outcome:
    """Sends as fast as it is let, and takes all answers."""
    reader, writer = await asyncio.open_connection(HOST, place.port)
    reading = asyncio.create_task(_count(reader))
    end = time.monotonic() + SECONDS
    with contextlib.suppress(OSError, TimeoutError):
        async with asyncio.timeout(SECONDS):
            while time.monotonic() < end:
                writer.write(_REQUESTS)
                await writer.drain()
    writer.close()
    reading.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await reading
    return Outcome("answered in turn", is_as_claimed=True)


async def _count(reader: asyncio.StreamReader) -> None:
    with contextlib.suppress(OSError):
        while await reader.read(1 << 16):
            pass


ATTACK = Attack(
    "pipelining",
    "requests on one connection, as fast as it takes them, without a key: none is piled up",
    strike,
    growth_mib=64.0,
)
