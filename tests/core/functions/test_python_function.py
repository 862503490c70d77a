"""Blocking work: in threads, never more than so many, and refused once none can come free."""

import asyncio
import threading
from collections.abc import Callable
from contextvars import ContextVar

import pytest

from llm_api.core.errors import FunctionsBusyError
from llm_api.core.functions.python_function import FunctionThreads
from tests.live import PATIENCE_SECONDS, wait_until

variable: ContextVar[str] = ContextVar("variable")


async def abandoned(threads: FunctionThreads, work: Callable[[], object]) -> None:
    """Start the work, and give it up."""
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await threads.run(work)


async def test_work_runs_beside_the_event_loop_in_this_tasks_context() -> None:
    variable.set("here")
    here = threading.get_ident()
    there, value = await FunctionThreads().run(lambda: (threading.get_ident(), variable.get()))
    assert there != here
    assert value == "here"


@pytest.mark.parametrize(
    ("error", "raised"),
    [
        (ValueError("no"), "no"),
        (StopIteration(), "it raised StopIteration"),
        (SystemExit(3), "it raised SystemExit"),
        (KeyboardInterrupt(), "it raised KeyboardInterrupt"),
    ],
)
async def test_what_the_work_raises_is_raised_and_ends_no_server(
    error: BaseException, raised: str
) -> None:
    def fail() -> None:
        raise error

    with pytest.raises(Exception, match=raised):
        await FunctionThreads().run(fail)


async def test_no_more_than_the_limit_runs_at_a_time() -> None:
    running, most = set(), []
    lock = threading.Lock()

    def work() -> None:
        with lock:
            running.add(threading.get_ident())
            most.append(len(running))
        threading.Event().wait(0.01)
        with lock:
            running.discard(threading.get_ident())

    threads = FunctionThreads(limit=3)
    async with asyncio.TaskGroup() as group:
        for _ in range(12):
            group.create_task(threads.run(work))
    assert len(most) == 12
    assert max(most) == 3


async def test_work_is_refused_while_abandoned_work_holds_every_place() -> None:
    threads, end = FunctionThreads(limit=2), threading.Event()
    await abandoned(threads, end.wait)
    assert await threads.run(lambda: "one place is left") == "one place is left"
    await abandoned(threads, end.wait)
    with pytest.raises(FunctionsBusyError, match="All 2 threads"):
        await threads.run(lambda: "no place is left")
    end.set()
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            try:
                assert await threads.run(lambda: "again") == "again"
                break
            except FunctionsBusyError:
                await asyncio.sleep(0.005)


async def test_work_that_waits_for_a_place_can_be_given_up() -> None:
    threads, end = FunctionThreads(limit=1), threading.Event()
    first = asyncio.create_task(threads.run(end.wait))
    await asyncio.sleep(0)
    began = threading.Event()
    await abandoned(threads, began.set)
    end.set()
    assert await first
    assert await threads.run(lambda: 1) == 1
    assert not began.is_set()


def test_abandoned_work_may_outlive_the_event_loop() -> None:
    end, ended = threading.Event(), threading.Event()

    def work() -> None:
        end.wait()
        ended.set()

    async def leave() -> None:
        await abandoned(FunctionThreads(), work)

    asyncio.run(leave())
    before = threading.active_count()
    end.set()
    assert ended.wait(PATIENCE_SECONDS)
    wait_until(lambda: threading.active_count() < before)
