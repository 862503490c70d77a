"""Requests to several nodes: who is asked, when another one is, and when it is given up."""

import asyncio
from collections.abc import Callable
from typing import Any, cast

import pytest
from qdrant_client import AsyncQdrantClient
from qdrant_client.http.exceptions import ResponseHandlingException, UnexpectedResponse

from llm_api.core.errors import (
    CollectionNotFoundError,
    VectorStoreError,
    VectorStoreUnavailableError,
)
from llm_api.core.rag.stores import requests
from llm_api.core.rag.stores.requests import ROUNDS, QdrantRequests, ServerOptions

DEAD = ResponseHandlingException(ConnectionError())


def status(code: int) -> UnexpectedResponse:
    return UnexpectedResponse(code, "", b"", cast("Any", {}))


class Nodes:
    """Nodes that answer with their number, or fail as `failures` says. Remembers who was asked."""

    def __init__(self, count: int, timeout_seconds: float = 30) -> None:
        self.failures: dict[int, Exception | float] = {}
        self.asked: list[int] = []
        options = ServerOptions(("",) * count, None, timeout_seconds, None, None)
        clients = cast("list[AsyncQdrantClient]", list(range(count)))
        self.requests = QdrantRequests(clients, options)

    async def ask(self) -> int:
        async def request(client: Any) -> int:
            self.asked.append(client)
            failure = self.failures.get(client, 0.0)
            await asyncio.sleep(failure if isinstance(failure, float) else 0)
            if isinstance(failure, Exception):
                raise failure
            return int(client)

        return await self.requests.ask(cast("Callable[[AsyncQdrantClient], Any]", request))


@pytest.fixture(autouse=True)
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(requests, "PAUSE_SECONDS", 0)


@pytest.mark.parametrize("failure", [DEAD, status(500), status(503)])
async def test_another_node_is_asked_and_stays_the_one_that_is_asked(failure: Exception) -> None:
    nodes = Nodes(3)
    nodes.failures[0] = failure
    assert [await nodes.ask(), await nodes.ask()] == [1, 1]
    nodes.failures = {1: failure, 2: failure}
    assert await nodes.ask() == 0
    assert nodes.asked == [0, 1, 1, 1, 2, 0]


async def test_several_that_fail_at_once_move_on_by_one_node() -> None:
    nodes = Nodes(3)
    nodes.failures[0] = DEAD
    assert await asyncio.gather(*(nodes.ask() for _ in range(5))) == [1] * 5
    assert nodes.asked == [0] * 5 + [1] * 5


async def test_a_node_that_is_silent_leaves_time_for_another() -> None:
    nodes = Nodes(2, timeout_seconds=2)
    nodes.failures[0] = 60.0
    assert await nodes.ask() == 1


@pytest.mark.parametrize(
    ("failure", "error"),
    [(status(404), CollectionNotFoundError), (status(400), VectorStoreError)],
)
async def test_a_refusal_is_asked_once(failure: Exception, error: type[Exception]) -> None:
    nodes = Nodes(3)
    nodes.failures[0] = failure
    with pytest.raises(error):
        await nodes.ask()
    assert nodes.asked == [0]


@pytest.mark.parametrize("failure", [DEAD, status(500)])
async def test_where_no_node_answers_it_is_given_up(failure: Exception) -> None:
    nodes = Nodes(3)
    nodes.failures = dict.fromkeys(range(3), failure)
    with pytest.raises(VectorStoreUnavailableError):
        await nodes.ask()
    assert nodes.asked == [0, 1, 2] * ROUNDS


async def test_a_server_of_one_node_is_asked_again_for_a_lost_connection_alone() -> None:
    for failure, asked in ((DEAD, 2), (status(500), 1)):
        nodes = Nodes(1)
        nodes.failures[0] = failure
        with pytest.raises(VectorStoreUnavailableError):
            await nodes.ask()
        assert len(nodes.asked) == asked
