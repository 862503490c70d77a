"""A body of 100 MB, with and without its length."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress

from scripts.bench.client import HOST
from scripts.stress.case import Case, Outcome, Target
from scripts.stress.talk import CHAT, watched_memory

MEGABYTES = 100
GROWTH_MIB = 64.0
"""Of the one without a length as much is read as a body may have: 16 MiB, and copies of it."""
_PIECE = b" " * 1_000_000


async def run(target: Target) -> Outcome:
    """Both send on, whatever is answered meanwhile, until nothing is taken any more."""
    async with watched_memory(target.server) as memory:
        declared = await _send(target.port, f"content-length: {MEGABYTES * len(_PIECE)}", _PIECE)
        piece = b"%x\r\n%b\r\n" % (len(_PIECE), _PIECE)
        chunked = await _send(target.port, "transfer-encoding: chunked", piece)
    return Outcome(
        f"with its length {declared}, chunked {chunked}; memory +{memory.grown_mib:.0f} MiB",
        declared == chunked == "413" and memory.grown_mib < GROWTH_MIB,
    )


async def _send(port: int, header: str, piece: bytes) -> str:
    """The status of the answer."""
    async with _opened(port) as (reader, writer):
        head = f"POST {CHAT} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
        writer.write(f"{head}{header}\r\n\r\n".encode())
        answer = asyncio.create_task(reader.readline())
        with suppress(ConnectionError):
            for _ in range(MEGABYTES):
                writer.write(piece)
                await writer.drain()
        return (await asyncio.wait_for(answer, 10)).split()[1].decode()


@asynccontextmanager
async def _opened(
    port: int,
) -> AsyncGenerator[tuple[asyncio.StreamReader, asyncio.StreamWriter], None]:
    reader, writer = await asyncio.open_connection(HOST, port)
    try:
        yield reader, writer
    finally:
        writer.close()


CASE = Case("large body", f"{MEGABYTES} MB, with and without its length: 413, memory flat", run)
