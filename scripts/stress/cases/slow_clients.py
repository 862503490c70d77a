"""Connections that send a byte now and then: half of them headers, half of them a body."""

import asyncio
import itertools
import time

from scripts.bench.client import HOST
from scripts.bench.connection import connect
from scripts.bench.statistics import percentile
from scripts.stress.case import MODEL, Case, Outcome, Target
from scripts.stress.talk import CHAT, chat, post

SLOW = 200
SECONDS = 26.0
"""Longer than the server waits for headers, or for a body that hardly comes."""
NORMAL = 60
"""Requests for each percentile."""

_HEADERS = b"GET /health HTTP/1.1\r\nhost: localhost\r\nx-slow: "
_BODY = (
    f"POST {CHAT} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
    "content-length: 1000000\r\n\r\n"
).encode()


async def run(target: Target) -> Outcome:
    """Normal requests before, while the slow ones hang on, and after."""
    before = await _normal(target.port, NORMAL)
    slow = [asyncio.create_task(_drip(target.port, start)) for start in _starts()]
    during = await _normal(target.port, NORMAL)
    ends = await asyncio.gather(*slow)
    after = await _normal(target.port, NORMAL)
    ratio = percentile(during, 95) / percentile([*before, *after], 95)
    refused = sum(answer.startswith(b"HTTP/1.1 408") for answer in ends)
    return Outcome(
        f"p95 x {ratio:.2f}; {refused} of {SLOW} answered 408 and closed",
        ratio <= 2 and refused == SLOW,
    )


def _starts() -> list[bytes]:
    return [start for start, _ in zip(itertools.cycle((_HEADERS, _BODY)), range(SLOW))]


async def _normal(port: int, count: int) -> list[float]:
    """The seconds of so many short chats, one after the other."""
    async with connect(port) as connection:
        return [
            (await post(connection, CHAT, chat(MODEL, f"Say {number}."))).seconds
            for number in range(count)
        ]


async def _drip(port: int, start: bytes) -> bytes:
    """A byte every second, until the server ends it; what it said, b"" where it did not."""
    reader, writer = await asyncio.open_connection(HOST, port)
    try:
        writer.write(start)
        deadline = time.monotonic() + SECONDS
        while time.monotonic() < deadline:
            try:
                return await asyncio.wait_for(reader.readline(), 1)
            except TimeoutError:
                writer.write(b" ")
        return b""
    except OSError:
        return b""
    finally:
        writer.close()


CASE = Case(
    "slow clients",
    f"{SLOW} connections with headers or bodies by drops: normal p95 at most x 2; all are let go",
    run,
)
