"""Counters in every shape. Redis is a real one, or its tests are skipped."""

from collections.abc import AsyncGenerator

import pytest

from llm_api.core.access.counters import Counters, MemoryCounters
from llm_api.core.access.redis_counters import RedisCounters


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self, now: float) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    """25 seconds before the end of a minute."""
    return Clock(1_700_000_015.0)


@pytest.fixture(params=["memory", "redis"])
async def counters(request: pytest.FixtureRequest, clock: Clock) -> AsyncGenerator[Counters, None]:
    counters: Counters
    if request.param == "memory":
        counters = MemoryCounters(clock)
    else:
        counters = RedisCounters(request.getfixturevalue("redis_url"), clock)
    yield counters
    await counters.aclose()
