"""Long work in threads, a slice at a time: it gives way between two, and ends with its task.

A thread cannot be stopped, and one that computes in Python slows every other. So whoever has much
to compute hands it over as an iterator whose steps are short, and takes turns with others.
"""

import asyncio
import time
from collections.abc import Iterator
from typing import Final, TypeVar

Item = TypeVar("Item")

SLICE_SECONDS: Final = 0.02


async def in_slices(items: Iterator[Item], turns: asyncio.Lock) -> list[Item]:
    """All items, computed in threads, one slice at a time of all that share `turns`.

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
