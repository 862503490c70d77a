"""Answers are kept within bounds; where they cannot be, there are none."""

import asyncio
import logging
from contextlib import aclosing
from uuid import uuid4

import pytest
from redis.asyncio import Redis

from llm_api.core.llm.gateway.response_cache.backend import AnswerStore
from llm_api.core.llm.gateway.response_cache.memory_answers import MemoryAnswers
from llm_api.core.llm.gateway.response_cache.redis_answers import REST_SECONDS, RedisAnswers
from llm_api.core.utils.redis_client import open_redis
from scripts.bench.process import free_port
from tests.redis_server import NoRedisError, redis_on, url_of


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


async def test_an_answer_is_there_under_its_key_alone(answers: AnswerStore) -> None:
    key = uuid4().hex
    assert await answers.get(key) is None
    await answers.put(key, b"one")
    await answers.put(key, b"\xfftwo\n")
    assert await answers.get(key) == b"\xfftwo\n"
    assert await answers.get(key + "x") is None


async def test_the_longest_unused_go_first_when_the_room_is_taken() -> None:
    kept = MemoryAnswers(max_bytes=30, seconds=60)
    for key in "abc":
        await kept.put(key, b"123456789")
    assert await kept.get("a") == b"123456789"
    await kept.put("d", b"123456789")
    assert [await kept.get(key) is not None for key in "abcd"] == [True, False, True, True]
    await kept.put("d", b"123456789" * 2)
    assert [await kept.get(key) is not None for key in "abcd"] == [False, False, True, True]


async def test_what_is_larger_than_all_the_room_is_not_kept() -> None:
    kept = MemoryAnswers(max_bytes=30, seconds=60)
    await kept.put("a", b"x" * 30)
    assert await kept.get("a") is None
    await kept.put("b", b"x" * 29)
    assert await kept.get("b") is not None


async def test_an_answer_is_forgotten_in_time() -> None:
    clock = Clock()
    kept = MemoryAnswers(max_bytes=20, seconds=60, clock=clock)
    await kept.put("a", b"1")
    clock.now += 59.9
    assert await kept.get("a") == b"1"
    clock.now += 0.1
    assert await kept.get("a") is None
    await kept.put("b", b"x" * 19)
    assert await kept.get("b") is not None


async def test_redis_forgets_an_answer_in_time(redis_url: str) -> None:
    key = uuid4().hex
    redis: Redis = open_redis(redis_url)
    async with aclosing(RedisAnswers(redis_url, seconds=60)) as kept, aclosing(redis):
        await kept.put(key, b"1")
        assert 0 < await redis.ttl(f"llm_api:answer:{key}") <= 60


async def test_while_redis_is_away_there_is_nothing_and_the_log_says_so_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    clock = Clock()
    port = free_port()
    async with aclosing(RedisAnswers(url_of(port), 60, clock)) as kept:
        for _ in range(3):
            await kept.put("a", b"1")
            assert await kept.get("a") is None
            clock.now += REST_SECONDS
        [record] = caplog.records
        assert record.levelno == logging.WARNING
        try:
            with redis_on(port):
                assert await kept.get("a") is None
                await kept.put("a", b"1")
                assert await kept.get("a") == b"1"
        except NoRedisError as error:
            pytest.skip(str(error))


async def test_a_redis_that_does_not_answer_is_not_waited_for_by_every_request() -> None:
    calls = 0

    async def silent(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal calls
        calls += 1
        writer.close()

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server, aclosing(RedisAnswers(url_of(port), 60, Clock())) as kept:
        for _ in range(5):
            assert await kept.get("a") is None
        first = calls
        assert await kept.get("a") is None
        assert calls == first <= 2
