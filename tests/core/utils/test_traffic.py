"""Idle work: done while nothing else runs, given up for what comes, and begun anew."""

import asyncio

import pytest

from llm_api.core.errors import UnavailableError
from llm_api.core.utils.traffic import Traffic


async def settled() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


class Work:
    """Work that ends when it is allowed to."""

    def __init__(self) -> None:
        self.begun = self.cancelled = 0
        self.may_end = asyncio.Event()

    async def __call__(self) -> int:
        self.begun += 1
        try:
            await self.may_end.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        return self.begun


async def test_work_waits_until_nothing_else_runs() -> None:
    traffic, work = Traffic(rest_seconds=0.001), Work()
    work.may_end.set()
    with traffic.passing():
        doing = asyncio.create_task(traffic.quietly(work))
        with traffic.passing():
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.01)
        assert work.begun == 0
    assert await doing == 1


async def test_request_that_comes_stops_the_work_which_begins_anew_behind_it() -> None:
    traffic, work = Traffic(rest_seconds=0), Work()
    doing = asyncio.create_task(traffic.quietly(work))
    while not work.begun:
        await asyncio.sleep(0)
    with traffic.passing():
        await settled()
        assert (work.begun, work.cancelled) == (1, 1)
    while work.begun < 2:
        await asyncio.sleep(0)
    work.may_end.set()
    assert await doing == 2


async def test_what_the_work_raises_is_raised_and_its_cancelling_cancels_it() -> None:
    async def fails() -> None:
        raise UnavailableError("no")

    traffic, work = Traffic(rest_seconds=0), Work()
    with pytest.raises(UnavailableError):
        await traffic.quietly(fails)
    doing = asyncio.create_task(traffic.quietly(work))
    while not work.begun:
        await asyncio.sleep(0)
    doing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await doing
    assert work.cancelled == 1
