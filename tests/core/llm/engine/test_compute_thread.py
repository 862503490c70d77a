"""The compute thread: calls in their order, whatever one of them does."""

import asyncio
import resource
import threading
from collections.abc import AsyncGenerator
from contextlib import aclosing
from functools import partial

import pytest

from llm_api.core.errors import UnavailableError
from llm_api.core.llm.engine.compute_thread import STUCK_SECONDS, ComputeThread
from tests.live import PATIENCE_SECONDS


@pytest.fixture
async def compute() -> AsyncGenerator[ComputeThread, None]:
    async with aclosing(ComputeThread()) as compute:
        yield compute


def fail() -> None:
    raise ValueError("on purpose")


async def test_everything_is_done_on_one_thread_in_its_order(compute: ComputeThread) -> None:
    done: list[tuple[int, int]] = []

    def note(number: int) -> None:
        done.append((number, threading.get_ident()))

    for number in range(20):
        compute.post(partial(note, number))
    own = await compute.run(threading.get_ident)
    assert done == [(number, own) for number in range(20)]
    assert own != threading.get_ident()


async def test_what_a_function_raises_reaches_who_asked_for_it(compute: ComputeThread) -> None:
    with pytest.raises(ValueError, match="on purpose"):
        await compute.run(fail)
    assert await compute.run(lambda: 7) == 7


async def test_a_call_that_fails_is_logged_and_the_next_is_done(
    compute: ComputeThread, caplog: pytest.LogCaptureFixture
) -> None:
    compute.post(fail)
    assert await compute.run(lambda: 7) == 7
    assert "on purpose" in caplog.text


async def test_those_who_post_their_next_part_take_turns(compute: ComputeThread) -> None:
    done: list[str] = []

    def part(name: str, left: int) -> None:
        done.append(name)
        if left:
            compute.post(partial(part, name, left - 1))

    def begin() -> None:
        for name in "abc":
            compute.post(partial(part, name, 3))

    await compute.run(begin)
    while len(done) < 12:
        await compute.run(lambda: None)
    assert "".join(done) == "abcabcabcabc"


def _wait_for(event: threading.Event) -> None:
    assert event.wait(PATIENCE_SECONDS)


async def test_a_call_knows_whether_others_wait_for_it(compute: ComputeThread) -> None:
    seen: list[bool] = []
    held = threading.Event()

    def turn(others: int) -> None:
        for _ in range(others):
            compute.post_turn(lambda: None)
        seen.append(compute.is_awaited)

    await compute.run(lambda: compute.post_turn(partial(turn, 0)))
    while not seen:  # the next call would wait for it
        await asyncio.sleep(0.001)
    await compute.run(lambda: compute.post_turn(partial(turn, 1)))
    await compute.run(lambda: None)
    compute.post(partial(_wait_for, held))
    compute.post(partial(turn, 0))
    waiting = asyncio.create_task(compute.run(lambda: None))
    await asyncio.sleep(0)
    held.set()
    await waiting
    assert seen == [False, True, True]


async def test_a_function_is_called_though_its_caller_has_gone(compute: ComputeThread) -> None:
    begin, called = threading.Event(), threading.Event()
    compute.post(lambda: None if begin.wait(PATIENCE_SECONDS) else fail())
    asking = asyncio.create_task(compute.run(called.set))
    await asyncio.sleep(0)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    begin.set()
    assert await compute.run(called.is_set)


async def test_an_idle_thread_is_not_woken(compute: ComputeThread) -> None:
    def wakeups() -> int:
        return resource.getrusage(resource.RUSAGE_THREAD).ru_nvcsw

    before = await compute.run(wakeups)
    await asyncio.sleep(0.5)
    # Polling every 10 ms would add fifty. Going to sleep, and waits for the GIL, add a few.
    assert await compute.run(wakeups) - before < 20


async def test_closing_waits_for_what_was_posted_before_and_refuses_what_comes_after() -> None:
    compute = ComputeThread()
    done: list[int] = []
    compute.post(lambda: done.append(1))
    await compute.aclose()
    await compute.aclose()
    compute.post(lambda: done.append(2))
    with pytest.raises(UnavailableError):
        await compute.run(lambda: done.append(3))
    assert done == [1]


async def test_a_thread_that_nobody_used_is_closed_at_once() -> None:
    before = threading.active_count()
    await ComputeThread().aclose()
    assert threading.active_count() == before


async def test_a_call_that_takes_too_long_is_noticed_and_does_not_keep_the_end_waiting() -> None:
    now = [0.0]
    began, released = threading.Event(), threading.Event()
    compute = ComputeThread(clock=lambda: now[0], closing_seconds=0.05)

    def hold() -> None:
        began.set()
        released.wait(60)

    def stuck_at(seconds: float) -> bool:
        now[0] = seconds
        return compute.is_stuck

    compute.post(hold)
    await asyncio.to_thread(began.wait, PATIENCE_SECONDS)
    assert [stuck_at(STUCK_SECONDS), stuck_at(STUCK_SECONDS + 0.1)] == [False, True]
    await asyncio.wait_for(compute.aclose(), PATIENCE_SECONDS)
    released.set()
