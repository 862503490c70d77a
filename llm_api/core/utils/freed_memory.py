"""Gives memory that was freed back to the system: glibc keeps what large requests have left.

Its heaps shrink from their ends alone, and each thread's has others: one small piece that lives on
holds hundreds of megabytes. Other C libraries have no such call, and nothing is done.
"""

import asyncio
import ctypes
from collections.abc import Awaitable, Callable

TRIM_SECONDS = 20.0


async def return_freed_memory(
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> None:
    """Now and then, until it is cancelled. Takes milliseconds, in a thread, without the GIL."""
    if (trim := find_trim()) is None:
        return
    while True:
        await sleep(TRIM_SECONDS)
        await asyncio.to_thread(trim)


def find_trim() -> Callable[[], None] | None:
    """What returns it, where the C library can."""
    try:
        malloc_trim = ctypes.CDLL(None).malloc_trim
    except (AttributeError, OSError):
        return None
    return lambda: malloc_trim(0)
