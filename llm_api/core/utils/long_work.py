"""Long work and cancelling: computed in slices that stop with their task, or done to the end."""

import asyncio
import time
from collections.abc import Coroutine, Iterator
from typing import Any, Final, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

SLICE_SECONDS: Final = 0.02


async def in_slices(items: Iterator[Item], turns: asyncio.Lock) -> list[Item]:
    """All items, computed in threads, one slice at a time of all that share `turns`.

    A thread cannot be stopped, and one that computes in Python slows every other. So long work is
    an iterator whose steps are short, and gives way to others between two slices.
    Raises what computing them raises. Cancelled, it computes nothing after the slice under way.
    """
    taken: list[Item] = []
    has_more = True
    while has_more:
        async with turns:
            has_more = await asyncio.to_thread(_take, items, taken)
    return taken


def _take(items: Iterator[Item], taken: list[Item]) -> bool:
    """Append a slice of the items; whether there may be more. Blocks."""
    ends_at = time.monotonic() + SLICE_SECONDS
    for item in items:
        taken.append(item)
        if time.monotonic() > ends_at:
            return True
    return False


async def to_the_end(work: Coroutine[Any, Any, Result]) -> Result:
    """The result of `work`. Cancelling waits until it has ended, then cancels who waited."""
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.gather(task, return_exceptions=True)
        raise
