"""Work for a client that may leave."""

import asyncio
from collections.abc import Callable

import pytest
from starlette.requests import Request
from starlette.types import Message

from llm_api.api.disconnect import ClientLeftError, until_disconnect


def request_of(leaves: asyncio.Event) -> Request:
    """One whose client leaves then."""

    async def receive() -> Message:
        await leaves.wait()
        return {"type": "http.disconnect"}

    return Request({"type": "http"}, receive)


@pytest.fixture
def leaves() -> asyncio.Event:
    return asyncio.Event()


async def test_the_result_of_the_work_is_returned(leaves: asyncio.Event) -> None:
    async def work() -> int:
        await asyncio.sleep(0)
        return 7

    assert await until_disconnect(request_of(leaves), work()) == 7


async def test_a_client_who_leaves_ends_the_work_before_it_is_told(leaves: asyncio.Event) -> None:
    told: list[str] = []

    async def work() -> None:
        try:
            leaves.set()
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            told.append("ended")

    with pytest.raises(ClientLeftError):
        await until_disconnect(request_of(leaves), work())
    assert told == ["ended"]
    await asyncio.sleep(0)  # who left is forgotten: this task is not cancelled once more


@pytest.mark.parametrize("failure", [TimeoutError, ValueError])
async def test_what_the_work_raises_is_raised(
    leaves: asyncio.Event, failure: Callable[[], Exception]
) -> None:
    raised = failure()

    async def work() -> None:
        await asyncio.sleep(0)
        raise raised

    with pytest.raises(type(raised)) as caught:
        await until_disconnect(request_of(leaves), work())
    assert caught.value is raised


async def test_whoever_waits_can_be_cancelled_and_nothing_is_left_running(
    leaves: asyncio.Event,
) -> None:
    before = asyncio.all_tasks()
    waiting = asyncio.create_task(
        until_disconnect(request_of(leaves), asyncio.Event().wait()), name="waiting"
    )
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    await asyncio.sleep(0)
    assert asyncio.all_tasks() == before
