"""Memory that nobody uses is the system's again, however many small pieces live on above it."""

import asyncio

import psutil
import pytest

from llm_api.core.utils.freed_memory import TRIM_SECONDS, find_trim, return_freed_memory

BLOCK_BYTES = 100_000
BLOCKS = 2_000


def resident_bytes() -> int:
    return int(psutil.Process().memory_info().rss)


async def test_what_was_freed_below_a_piece_that_lives_on_is_returned() -> None:
    if find_trim() is None:
        pytest.skip("the C library has no malloc_trim")
    waits: list[float] = []

    async def sleep(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 2:
            await asyncio.Event().wait()

    blocks = [bytes(bytearray(b"x") * BLOCK_BYTES) for _ in range(BLOCKS)]
    kept = blocks[-1]
    blocks.clear()
    before = resident_bytes()
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(return_freed_memory(sleep), 1)
    assert waits == [TRIM_SECONDS] * 2
    assert before - resident_bytes() > BLOCK_BYTES * BLOCKS / 2
    assert len(kept) == BLOCK_BYTES
