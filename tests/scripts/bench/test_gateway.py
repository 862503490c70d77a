"""The rows of the gateway: the stand-in upstream, the client, and streams that overlap."""

import asyncio
import json

import pytest

from scripts.bench.answer import Answer
from scripts.bench.client import HOST, get
from scripts.bench.connection import connect
from scripts.bench.scenarios.gateway import most_together
from scripts.bench.upstream import SLOW_TOKENS, SLOWLY, Upstream


def stream(first: float, ended: float) -> Answer:
    return Answer(0.0, ended, 200, text_times=[first, first])


@pytest.mark.parametrize(
    ("streams", "most"),
    [
        ([], 0),
        ([stream(1, 2), stream(2, 3)], 1),
        ([stream(1, 3), stream(2, 4), stream(3.5, 5)], 2),
        ([stream(1, 9), stream(2, 3), stream(4, 9), stream(5, 6)], 3),
        ([Answer(0.0, 9.0, 500), stream(1, 2)], 1),
    ],
)
def test_streams_are_together_between_their_first_text_and_their_end(
    streams: list[Answer], most: int
) -> None:
    assert most_together(streams) == most


async def test_the_upstream_answers_one_request_after_the_other_on_a_connection() -> None:
    server = await asyncio.get_running_loop().create_server(Upstream, HOST, 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        async with connect(port) as connection:
            replies = [await connection.post("/v1/chat/completions", b"{}") for _ in range(2)]
        status, models = await get(port, "/v1/models")
    assert [reply.status for reply in replies] == [200, 200]
    assert json.loads(replies[1].body)["choices"][0]["finish_reason"] == "stop"
    assert (status, json.loads(models)["data"][0]["id"]) == (200, "upstream")


async def test_a_server_that_is_gone_is_an_error() -> None:
    server = await asyncio.start_server(lambda _, writer: writer.close(), HOST, 0)
    async with server, connect(server.sockets[0].getsockname()[1]) as connection:
        with pytest.raises(OSError, match="closed"):
            await connection.post("/", b"{}")


async def test_who_asks_slowly_gets_one_token_after_the_other() -> None:
    server = await asyncio.get_running_loop().create_server(Upstream, HOST, 0)
    body = json.dumps({"messages": [{"role": "user", "content": SLOWLY}], "stream": True})
    async with server, connect(server.sockets[0].getsockname()[1]) as connection:
        reply = await connection.post("/v1/chat/completions", body.encode())
    assert reply.body.count(b"word") == SLOW_TOKENS
    assert reply.body.endswith(b"data: [DONE]\n\n")
    assert reply.seconds > 1
