"""Counters of one process and counters in Redis: the same claims about both."""

import asyncio
from uuid import uuid4

import pytest

from llm_api.core.access.counters import Count, Counted, Counters, CountersUnavailableError
from llm_api.core.access.redis_counters import RedisCounters
from scripts.bench.process import free_port
from tests.core.access.conftest import Clock
from tests.redis_server import NoRedisError, redis_on, url_of


@pytest.fixture
def name() -> str:
    """A name that nothing was counted under, in a Redis that others use as well."""
    return f"{{{uuid4().hex}}}"


def count(name: str, amount: int, limit: int = 10, keep_seconds: int = 60) -> Count:
    return Count(name, amount, limit, keep_seconds)


async def test_amounts_add_up_to_the_limit_and_no_further(counters: Counters, name: str) -> None:
    assert await counters.add([count(name, 4)]) == Counted(True, (4,))
    assert await counters.add([count(name, 6)]) == Counted(True, (10,))
    assert await counters.add([count(name, 1)]) == Counted(False, (10,))
    assert await counters.add([count(name, 0)]) == Counted(True, (10,))


async def test_of_several_amounts_all_are_added_or_none(counters: Counters, name: str) -> None:
    other = f"{name}:other"
    await counters.add([count(other, 9)])
    refused = await counters.add([count(name, 1), count(other, 2)])
    assert refused == Counted(False, (0, 9))
    assert await counters.add([count(name, 1), count(other, 1)]) == Counted(True, (1, 10))


async def test_what_is_forced_passes_every_limit_and_may_be_taken_back(
    counters: Counters, name: str
) -> None:
    assert await counters.add([count(name, 15)], is_forced=True) == Counted(True, (15,))
    assert await counters.add([count(name, -12)], is_forced=True) == Counted(True, (3,))
    assert await counters.add([count(name, 7)]) == Counted(True, (10,))
    await counters.add([count(name, 5)], is_forced=True)
    assert await counters.add([count(name, 0)]) == Counted(True, (15,)), "0 only looks"


async def test_requests_that_arrive_together_pass_no_limit_together(
    counters: Counters, name: str
) -> None:
    counted = await asyncio.gather(*(counters.add([count(name, 1)]) for _ in range(30)))
    assert sum(one.is_granted for one in counted) == 10
    entered = await asyncio.gather(*(counters.enter(name + "g", f"{i}", 4, 60) for i in range(30)))
    assert sum(entered) == 4


async def test_a_group_takes_a_member_for_each_that_leaves(counters: Counters, name: str) -> None:
    assert await counters.enter(name, "a", 2, 60)
    assert await counters.enter(name, "b", 2, 60)
    assert not await counters.enter(name, "c", 2, 60)
    await counters.leave(name, "a")
    await counters.leave(name, "a")
    assert await counters.enter(name, "c", 2, 60)
    assert not await counters.enter(name, "d", 2, 60)


async def test_who_never_leaves_a_group_is_not_in_it_for_ever(
    counters: Counters, name: str, clock: Clock
) -> None:
    assert await counters.enter(name, "lost", 1, 60)
    clock.now += 59
    assert not await counters.enter(name, "next", 1, 60)
    clock.now += 2
    assert await counters.enter(name, "next", 1, 60)


async def test_a_count_is_forgotten_after_its_time(counters: Counters, name: str) -> None:
    await counters.add([count(name, 10, keep_seconds=1)])
    if isinstance(counters, RedisCounters):
        await asyncio.sleep(1.1)  # its own clock decides
    else:
        counters._clock.now += 1.1  # type: ignore[attr-defined]
    assert await counters.add([count(name, 1, keep_seconds=1)]) == Counted(True, (1,))


async def test_two_processes_share_their_counts_in_redis(redis_url: str, name: str) -> None:
    ours, theirs = RedisCounters(redis_url), RedisCounters(redis_url)
    await ours.add([count(name, 9)])
    assert await theirs.add([count(name, 2)]) == Counted(False, (9,))
    assert await ours.enter(f"{name}:g", "a", 1, 60)
    assert not await theirs.enter(f"{name}:g", "b", 1, 60)
    await ours.aclose()
    await theirs.aclose()


async def test_redis_that_is_away_is_said_to_be_and_is_found_again() -> None:
    port = free_port()
    counters = RedisCounters(url_of(port))
    for call in (
        counters.add([count("{x}", 1)]),
        counters.enter("{x}", "a", 1, 60),
        counters.leave("{x}", "a"),
    ):
        with pytest.raises(CountersUnavailableError):
            await call
    try:
        for _ in range(2):  # the second one forgets scripts and connections of the first
            with redis_on(port):
                assert await counters.add([count("{x}", 1)]) == Counted(True, (1,))
    except NoRedisError as error:
        pytest.skip(str(error))
    finally:
        await counters.aclose()
