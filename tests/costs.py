"""What work costs, though other threads of the process and other programs compute meanwhile."""

import time
from collections.abc import Awaitable, Callable

TRIES = 3


async def least_seconds(work: Callable[[], Awaitable[object]]) -> float:
    """Seconds of computing of the cheapest of a few tries, all threads of the process together."""
    return min([await _seconds(work) for _ in range(TRIES)])


async def _seconds(work: Callable[[], Awaitable[object]]) -> float:
    began = time.process_time()
    await work()
    return time.process_time() - began
