"""A process that is spoken to over pipes: asked, let go, ended."""

import asyncio
import sys
from asyncio.subprocess import DEVNULL

import pytest

from llm_api.core.utils.child_process import ChildProcess, start_child

ECHO = "import sys\nfor line in sys.stdin: print(line.strip().upper(), flush=True)"
ENDLESS = "while True: print('x' * 1000, flush=True)"


async def python(code: str, limit: int = 64 * 1024) -> ChildProcess:
    return await start_child(sys.executable, "-c", code, stderr=DEVNULL, limit=limit)


async def test_it_is_asked_and_ends_with_its_input() -> None:
    process = await python(ECHO)
    for word in (b"one", b"two"):
        process.stdin.write(word + b"\n")
        await process.stdin.drain()
        assert await process.stdout.readline() == word.upper() + b"\n"
    assert process.returncode is None
    process.stdin.close()
    assert await process.wait() == 0
    assert await process.stdout.read() == b""


async def test_what_it_wrote_before_its_end_can_be_read() -> None:
    process = await python("print('last words')")
    assert await process.wait() == 0
    assert await process.stdout.read() == b"last words\n"


async def test_one_that_writes_without_end_is_ended() -> None:
    process = await python(ENDLESS, limit=1024)
    await process.stdout.readexactly(1000)
    async with asyncio.timeout(10):
        await process.end()
    assert process.returncode == -9


async def test_what_cannot_be_started_is_told() -> None:
    with pytest.raises(OSError, match="No such file"):
        await start_child("/no/such/program")
