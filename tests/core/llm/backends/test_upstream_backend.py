"""The client of backends that run elsewhere, against a scripted server on a real socket."""

import asyncio
import itertools
import json
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace

import pytest

from llm_api.core.errors import (
    InvalidRequestError,
    LLMAPIError,
    OverloadedError,
    UnavailableError,
    UpstreamError,
    UpstreamTimeoutError,
)
from llm_api.core.llm.backends.upstream_backend import UpstreamClient, UpstreamOptions
from llm_api.core.upstream import outgoing_trace
from tests.live import PATIENCE_SECONDS
from tests.upstreams import Asked, Reply, StandIn, answer, events, lines, stand_in

KEY = "sk-secret"


@pytest.fixture
async def upstream() -> AsyncGenerator[StandIn, None]:
    async with stand_in(lambda _: events("one", "two")) as upstream:
        yield upstream


@pytest.fixture
async def client(upstream: StandIn) -> AsyncGenerator[UpstreamClient, None]:
    client = client_of(upstream.url)
    yield client
    await client.aclose()


def client_of(url: str, silence_seconds: float = 5.0) -> UpstreamClient:
    options = UpstreamOptions(url, "model", KEY, silence_seconds=silence_seconds)
    return UpstreamClient(url, options, {"x-api-key": KEY}, "THE_KEY")


async def spoken(client: UpstreamClient) -> AsyncGenerator[str, None]:
    async with client.events("chat", {"model": "model"}) as events:
        async for event in events:
            yield event.data


async def everything(client: UpstreamClient) -> list[str]:
    return [data async for data in spoken(client)]


async def read_lines(client: UpstreamClient) -> list[object]:
    async with client.lines("chat", {}) as lines:
        return [json.loads(line) async for line in lines]


async def until(claim: list[Asked]) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not claim:
            await asyncio.sleep(0.005)


async def test_events_arrive_one_by_one_and_comments_do_not(
    upstream: StandIn, client: UpstreamClient
) -> None:
    upstream.reply = lambda _: events(b": ping\n\n", "one", b"event: odd\ndata: two\n\n")
    async with client.events("chat", {"a": 1}) as given:
        assert [(event.event, event.data) async for event in given] == [
            ("message", "one"),
            ("odd", "two"),
        ]
    (asked,) = upstream.asked
    assert (asked.method, asked.path, asked.body) == ("POST", "/chat", {"a": 1})
    assert asked.headers["x-api-key"] == KEY


async def test_lines_are_split_at_newlines_alone(upstream: StandIn, client: UpstreamClient) -> None:
    odd = "a\u2028b\x85c"
    upstream.reply = lambda _: lines(
        {"n": 1}, b'{"t": "', f"{odd}".encode() + b'"}\n\n', b'{"n":2}'
    )
    assert await read_lines(client) == [{"n": 1}, {"t": odd}, {"n": 2}]


async def test_what_is_asked_for_a_request_carries_its_trace(
    upstream: StandIn, client: UpstreamClient
) -> None:
    token = outgoing_trace.set({"traceparent": "00-1-2-01"})
    await everything(client)
    outgoing_trace.reset(token)
    await everything(client)
    assert [asked.headers.get("traceparent") for asked in upstream.asked] == ["00-1-2-01", None]


async def test_a_connection_is_used_again(upstream: StandIn, client: UpstreamClient) -> None:
    for _ in range(3):
        assert await everything(client) == ["one", "two"]
    assert upstream.connections == 1


async def test_many_streams_run_at_the_same_time(upstream: StandIn, client: UpstreamClient) -> None:
    upstream.reply = lambda _: events("one", 0.2, "two")
    answers = await asyncio.gather(*(everything(client) for _ in range(150)))
    assert answers == [["one", "two"]] * 150
    assert upstream.connections == 150


async def test_leaving_early_is_seen_over_there(upstream: StandIn, client: UpstreamClient) -> None:
    upstream.reply = lambda _: events(*itertools.chain(["one"], [0.05, "more"] * 200))
    async with aclosing(spoken(client)) as said:
        assert await anext(said) == "one"
    await until(upstream.left)


async def test_being_cancelled_is_seen_over_there(
    upstream: StandIn, client: UpstreamClient
) -> None:
    upstream.reply = lambda _: events(60.0)
    task = asyncio.create_task(everything(client))
    await until(upstream.asked)
    task.cancel()
    await until(upstream.left)
    with pytest.raises(asyncio.CancelledError):
        await task


BUSY = answer({"error": {"message": "later"}}, 429, retry_after="7")

FAILURES: list[tuple[Reply, type[LLMAPIError], str]] = [
    (answer({"error": {"message": f"bad {KEY}"}}, 400), InvalidRequestError, r"bad \*\*\*"),
    (answer({"error": {"message": f"bad {KEY}"}}, 401), UnavailableError, "check THE_KEY"),
    (BUSY, OverloadedError, "busy"),
    (answer("down", 500), UpstreamError, "answered 500: down"),
    (answer({"choices": []}), UpstreamError, "not understood"),  # no stream at all
    (events("one", is_cut=True), UpstreamError, "broke off"),
    (events("one", 60.0), UpstreamTimeoutError, "in time"),
]


@pytest.mark.parametrize(("reply", "kind", "words"), FAILURES)
async def test_failures_are_told_apart_and_the_next_request_is_answered(
    upstream: StandIn, reply: Reply, kind: type[LLMAPIError], words: str
) -> None:
    client = client_of(upstream.url, silence_seconds=0.2)
    upstream.reply = lambda _: reply
    with pytest.raises(kind, match=words) as caught:
        await everything(client)
    assert type(caught.value) is kind
    assert KEY not in caught.value.message
    upstream.reply = lambda _: events("well again")
    assert await everything(client) == ["well again"]
    await client.aclose()


async def test_lines_that_are_cut_are_no_answer(upstream: StandIn, client: UpstreamClient) -> None:
    upstream.reply = lambda _: lines({"n": 1}, is_cut=True)
    with pytest.raises(UpstreamError, match="broke off"):
        await read_lines(client)


async def test_a_line_without_end_is_no_answer(upstream: StandIn, client: UpstreamClient) -> None:
    upstream.reply = lambda _: lines({"n": 1}, *itertools.repeat(b"x" * 500_000, 100))
    with pytest.raises(UpstreamError, match="a line of more than"):
        await read_lines(client)
    await until(upstream.left)


@pytest.mark.parametrize("status", [200, 500])
async def test_a_document_without_end_is_not_read(
    upstream: StandIn, client: UpstreamClient, status: int
) -> None:
    upstream.reply = lambda _: Reply(itertools.repeat(b"x" * 500_000, 1000), status)
    with pytest.raises(UpstreamError):
        await client.get("health")
    await until(upstream.left)


async def test_a_server_like_this_one_is_known_by_its_answers(
    upstream: StandIn, client: UpstreamClient
) -> None:
    await everything(client)
    assert not client.is_ours
    headers = {"x-llm-api-backend": "llama"}
    upstream.reply = lambda _: replace(events("one"), headers=headers)
    await everything(client)
    assert client.is_ours


async def test_a_server_that_is_not_there_is_unavailable_until_it_is() -> None:
    async with stand_in(lambda _: answer({})) as upstream:
        pass
    client = client_of(upstream.url)
    with pytest.raises(UnavailableError, match="cannot be reached"):
        await everything(client)
    with pytest.raises(UnavailableError, match="cannot be reached"):
        await client.check("health")
    await client.aclose()


@pytest.mark.parametrize(
    "reply",
    [answer({}, 500), answer({}, 429), answer({}, 400), answer({}, 401), Reply([b"no json"])],
)
async def test_whatever_is_wrong_with_a_server_it_is_not_healthy(
    upstream: StandIn, client: UpstreamClient, reply: Reply
) -> None:
    upstream.reply = lambda _: reply
    with pytest.raises(UnavailableError):
        await client.check("health")
    upstream.reply = lambda _: answer({"models": 1})
    await client.check("health")
    assert await client.get("health") == {"models": 1}
    assert upstream.asked[-1].method == "GET"


def test_the_key_is_not_in_what_a_log_shows(upstream: StandIn, client: UpstreamClient) -> None:
    assert KEY not in repr(client.server) + str(client.server)
    assert KEY not in repr(UpstreamOptions(upstream.url, "model", KEY))


async def test_closing_ends_what_runs_and_what_comes_after(
    upstream: StandIn, client: UpstreamClient
) -> None:
    upstream.reply = lambda _: events("one", 60.0)
    running = asyncio.create_task(everything(client))
    await until(upstream.asked)
    await asyncio.sleep(0.05)
    await client.aclose()
    await client.aclose()
    for request in (running, everything(client), client.get("health")):
        with pytest.raises(UnavailableError, match="stopping"):
            await request
