"""What a limited key is told, and when it is refused."""

import asyncio
from collections.abc import Iterator

import httpx2
import pytest
from fastapi import FastAPI
from openai import OpenAI, RateLimitError

from llm_api.api.deps import set_services
from llm_api.api.policy import Access
from llm_api.api.wiring import create_api
from llm_api.core.access.keys import ApiKey, Limits
from llm_api.core.access.limiter import Limiter
from llm_api.core.access.redis_counters import RedisCounters
from scripts.bench.process import free_port
from tests.api.bodies import chat, embedding
from tests.api.keyed import (
    BEARER,
    SECONDS_LEFT,
    SECRET,
    api_key,
    keyed_app,
    limiter_at_rest,
    talking_to,
)
from tests.api.test_bad_input import assert_envelope
from tests.fakes import FakeBackend, FakeServices, endless, spoken
from tests.live import PATIENCE_SECONDS, live_server, wait_until
from tests.redis_server import url_of

CHAT = "/v1/chat/completions"


def limited_app(services: FakeServices, *keys: ApiKey, fails_open: bool = False) -> FastAPI:
    """The API for these keys."""
    limiter = limiter_at_rest(fails_open=fails_open)
    return keyed_app(services, *keys, access=Access(limiter=limiter, allowed_hosts=None))


def rate_headers(response: httpx2.Response) -> dict[str, str]:
    return {
        name.removeprefix("x-ratelimit-"): value
        for name, value in response.headers.items()
        if name.startswith("x-ratelimit-")
    }


@pytest.mark.parametrize("stream", [False, True])
async def test_every_answer_says_how_much_is_left(
    services: FakeServices, backend: FakeBackend, stream: bool
) -> None:
    backend.script = lambda _: spoken("a", "b", prompt_tokens=5)
    key = api_key(limits=Limits(requests_per_minute=3, tokens_per_minute=1000))
    async with talking_to(limited_app(services, key), **BEARER) as client:
        response = await client.post(CHAT, json=chat(stream=stream, max_tokens=100))
        # A stream begins before it is known what it takes.
        left = "899" if stream else "993"
        assert rate_headers(response) == {
            "limit-requests": "3",
            "remaining-requests": "2",
            "reset-requests": f"{SECONDS_LEFT}s",
            "limit-tokens": "1000",
            "remaining-tokens": left,
            "reset-tokens": f"{SECONDS_LEFT}s",
        }
        after = rate_headers(await client.get("/nothing-there"))
        assert after == {}
        after = rate_headers(await client.get("/v1/models"))
        assert (after["remaining-requests"], after["remaining-tokens"]) == ("1", "993")


async def test_beyond_a_limit_the_answer_is_429_and_says_when_to_come_back(
    services: FakeServices, backend: FakeBackend
) -> None:
    key = api_key(limits=Limits(requests_per_minute=1))
    async with talking_to(limited_app(services, key), **BEARER) as client:
        assert (await client.post(CHAT, json=chat())).status_code == 200
        response = await client.post(CHAT, json=chat())
    assert response.status_code == 429
    error = assert_envelope(response)
    assert (error["type"], error["code"]) == ("rate_limit_error", "rate_limit_exceeded")
    assert response.headers["retry-after"] == str(SECONDS_LEFT)
    assert rate_headers(response) == {}
    assert len(backend.requests) == 1


@pytest.mark.parametrize("stream", [False, True])
async def test_tokens_beyond_a_limit_are_refused_before_an_answer_begins(
    services: FakeServices, backend: FakeBackend, stream: bool
) -> None:
    backend.script = lambda _: spoken(*"abcde", prompt_tokens=5)
    key = api_key(limits=Limits(tokens_per_minute=50))
    async with talking_to(limited_app(services, key), **BEARER) as client:
        assert (await client.post(CHAT, json=chat(max_tokens=49))).status_code == 200
        response = await client.post(CHAT, json=chat(max_tokens=45, stream=stream))
        assert response.status_code == 429
        assert response.headers["retry-after"] == str(SECONDS_LEFT)
        assert rate_headers(response)["remaining-tokens"] == "40"
        never = await client.post(CHAT, json=chat(max_tokens=50, stream=stream))
        assert never.status_code == 429
        assert never.headers["x-should-retry"] == "false"
        assert "retry-after" not in never.headers
        assert (await client.post("/v1/embeddings", json=embedding())).status_code == 200
    assert len(backend.requests) == 1


async def test_a_key_whose_tokens_are_used_up_may_still_look(
    services: FakeServices, backend: FakeBackend
) -> None:
    backend.script = lambda _: spoken("a", "b", prompt_tokens=100)
    key = api_key(limits=Limits(tokens_per_minute=50))
    async with talking_to(limited_app(services, key), **BEARER) as client:
        assert (await client.post(CHAT, json=chat(max_tokens=2))).status_code == 200
        assert (await client.post(CHAT, json=chat(max_tokens=2))).status_code == 429
        listed = await client.get("/v1/models")
        assert (listed.status_code, rate_headers(listed)["remaining-tokens"]) == (200, "0")


async def test_every_choice_of_a_request_is_counted(
    services: FakeServices, backend: FakeBackend
) -> None:
    backend.script = lambda _: spoken("a", "b", prompt_tokens=5, pause_seconds=0.01)
    key = api_key(limits=Limits(tokens_per_minute=100))
    async with talking_to(limited_app(services, key), **BEARER) as client:
        refused = await client.post(CHAT, json=chat(n=3, max_tokens=40))
        assert refused.status_code == 429
        spent = 100 - int(rate_headers(await client.get("/v1/models"))["remaining-tokens"])
        assert spent in {0, 5, 10}  # the prompts of those that had begun
        answered = await client.post(CHAT, json=chat(n=2, max_tokens=40))
        assert answered.status_code == 200
        assert rate_headers(answered)["remaining-tokens"] == str(100 - spent - 2 * (5 + 2))


async def test_keys_are_counted_apart_and_public_paths_not_at_all(services: FakeServices) -> None:
    limits = Limits(requests_per_minute=1)
    bob = api_key(name="bob", secret="sk-bob", limits=limits)
    async with talking_to(limited_app(services, api_key(limits=limits), bob)) as client:
        for secret in (SECRET, "sk-bob"):
            headers = {"x-api-key": secret}
            assert (await client.get("/v1/models", headers=headers)).status_code == 200
            assert (await client.get("/v1/models", headers=headers)).status_code == 429
            for _ in range(3):
                assert (await client.get("/health", headers=headers)).status_code == 200


async def test_without_keys_all_callers_share_the_limits(services: FakeServices) -> None:
    limits = Limits(requests_per_minute=1)
    access = Access(open_limits=limits, limiter=limiter_at_rest())
    app = create_api(version="0", access=access)
    set_services(app, services)
    async with talking_to(app) as client:
        assert (await client.get("/v1/models")).status_code == 200
        assert (await client.get("/v1/models")).status_code == 429


async def test_limits_out_of_reach_are_503_or_pass(services: FakeServices) -> None:
    for fails_open, status in ((False, 503), (True, 200)):
        limiter = Limiter(RedisCounters(url_of(free_port())), fails_open=fails_open)
        access = Access(limiter=limiter, allowed_hosts=None)
        key = api_key(limits=Limits(requests_per_minute=1, tokens_per_minute=9, concurrency=1))
        app = keyed_app(services, key, access=access)
        async with talking_to(app, **BEARER) as client:
            response = await client.post(CHAT, json=chat())
            assert response.status_code == status
            assert (await client.get("/health")).status_code == 200
        if status == 503:
            assert assert_envelope(response)["code"] == "rate_limits_unavailable"
            assert int(response.headers["retry-after"]) >= 1


@pytest.fixture
def one_at_a_time(services: FakeServices, backend: FakeBackend) -> Iterator[str]:
    """The URL of a server whose key may have one request at a time, and never finishes one."""
    backend.script = endless
    with live_server(limited_app(services, api_key(limits=Limits(concurrency=1)))) as url:
        yield url


def test_a_stream_counts_until_its_client_leaves(one_at_a_time: str) -> None:
    with httpx2.Client(base_url=one_at_a_time, headers=BEARER) as client:
        with client.stream("POST", CHAT, json=chat(stream=True)) as stream:
            lines = stream.iter_lines()  # held: what is dropped is closed
            next(lines)
            refused = client.get("/v1/models")
            assert refused.status_code == 429
            assert assert_envelope(refused)["code"] == "rate_limit_exceeded"
            assert refused.headers["retry-after"] == "1"
        wait_until(lambda: client.get("/v1/models").status_code == 200)


async def test_an_answer_counts_until_its_client_leaves(
    one_at_a_time: str, backend: FakeBackend
) -> None:
    async with httpx2.AsyncClient(base_url=one_at_a_time, headers=BEARER) as client:
        asking = asyncio.create_task(client.post(CHAT, json=chat()))
        await asyncio.to_thread(wait_until, lambda: bool(backend.requests))
        assert (await client.get("/v1/models")).status_code == 429
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
        async with asyncio.timeout(PATIENCE_SECONDS):
            while (await client.get("/v1/models")).status_code == 429:
                await asyncio.sleep(0.01)


def test_the_sdk_sees_a_rate_limit(services: FakeServices) -> None:
    app = limited_app(services, api_key(limits=Limits(requests_per_minute=1)))
    with (
        live_server(app) as url,
        OpenAI(base_url=f"{url}/v1", api_key=SECRET, max_retries=0) as sdk,
    ):
        sdk.models.list()
        with pytest.raises(RateLimitError) as caught:
            sdk.models.list()
    assert caught.value.code == "rate_limit_exceeded"
