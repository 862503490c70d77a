"""Threads of one kind of work: places, owners, and work that was given up."""

import asyncio
import sys
import threading
from collections.abc import Iterator

import pytest

from llm_api.core.utils.work_threads import WorkThreads
from tests.live import PATIENCE_SECONDS


@pytest.fixture
def release() -> Iterator[threading.Event]:
    event = threading.Event()
    yield event
    event.set()


async def given_up(threads: WorkThreads, release: threading.Event, owner: str = "") -> None:
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(threads.run(lambda: release.wait(60), owner), 0.02)


async def test_work_returns_or_raises() -> None:
    threads = WorkThreads(1)
    assert await threads.run(lambda: 7) == 7
    with pytest.raises(ZeroDivisionError):
        await threads.run(lambda: 1 / 0)


async def test_one_owner_cannot_take_the_places_of_another(release: threading.Event) -> None:
    threads = WorkThreads(4, per_owner=2)
    for _ in range(6):
        await given_up(threads, release, "greedy")
    assert not threads.is_stuck
    assert await asyncio.wait_for(threads.run(lambda: 7, "modest"), PATIENCE_SECONDS) == 7


async def test_an_owner_has_his_places_back_when_his_work_has_ended(
    release: threading.Event,
) -> None:
    threads = WorkThreads(4, per_owner=1)
    await given_up(threads, release, "greedy")
    release.set()
    assert await asyncio.wait_for(threads.run(lambda: 7, "greedy"), PATIENCE_SECONDS) == 7


async def test_who_gives_up_waiting_for_a_place_holds_none(release: threading.Event) -> None:
    threads = WorkThreads(1, per_owner=1)
    await given_up(threads, release, "first")
    await given_up(threads, release, "second")
    assert threads.is_stuck
    release.set()
    assert await asyncio.wait_for(threads.run(lambda: 7, "second"), PATIENCE_SECONDS) == 7


async def test_the_end_waits_for_work_that_was_given_up_but_not_for_ever(
    release: threading.Event,
) -> None:
    threads = WorkThreads(1)
    await given_up(threads, release)
    await asyncio.wait_for(threads.aclose(0.05), PATIENCE_SECONDS)
    assert threads.is_stuck
    release.set()
    await asyncio.wait_for(threads.aclose(60), PATIENCE_SECONDS)
    assert not threads.is_stuck


async def test_work_that_goes_deep_has_the_stack_for_it() -> None:
    def depth(left: int) -> int:
        return 0 if not left else 1 + max(map(depth, [left - 1]))  # through C, frame by frame

    usual = sys.getrecursionlimit()
    sys.setrecursionlimit(200_000)
    try:
        threads = WorkThreads(1, stack_bytes=256 * 1024 * 1024)
        assert await threads.run(lambda: depth(30_000)) == 30_000
    finally:
        sys.setrecursionlimit(usual)
    assert threading.stack_size() == 0


async def test_threads_do_not_keep_the_process_alive() -> None:
    assert await WorkThreads(1).run(lambda: threading.current_thread().daemon)
