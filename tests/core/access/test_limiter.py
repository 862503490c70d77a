"""What a key has used against what it may use. A minute ends in 25 seconds."""

import logging
from uuid import uuid4

import pytest

from llm_api.core.access.caller import Caller, RemainingLimit
from llm_api.core.access.counters import Counters, CountersUnavailableError, MemoryCounters
from llm_api.core.access.keys import ApiKey, Limits
from llm_api.core.access.limiter import LEASE_SECONDS, Limiter
from llm_api.core.access.redis_counters import RedisCounters
from llm_api.core.errors import PermissionDeniedError, RateLimitedError
from scripts.bench.process import free_port
from tests.core.access.conftest import Clock
from tests.redis_server import url_of


@pytest.fixture
def limiter(clock: Clock) -> Limiter:
    return Limiter(MemoryCounters(clock), clock)


def caller(limiter: Limiter, name: str = "alice", **limits: int) -> Caller:
    return Caller(ApiKey(name, "", limits=Limits(**limits)), limiter)


async def test_requests_of_a_minute_are_refused_until_it_ends(
    limiter: Limiter, clock: Clock
) -> None:
    for _ in range(2):
        await caller(limiter, requests_per_minute=2).enter()
    with pytest.raises(RateLimitedError) as caught:
        await caller(limiter, requests_per_minute=2).enter()
    assert caught.value.retry_after_seconds == 25
    assert str(caught.value) == (
        "This key may use 2 requests per minute; 2 are used, and this needs 1."
        " Try again in 25 seconds."
    )
    await caller(limiter, "bob", requests_per_minute=2).enter()
    clock.now += 25
    await caller(limiter, requests_per_minute=2).enter()


async def test_a_refused_request_counts_for_nothing(limiter: Limiter, clock: Clock) -> None:
    first = caller(limiter, requests_per_minute=2, concurrency=1)
    await first.enter()
    for _ in range(5):
        with pytest.raises(RateLimitedError):
            await caller(limiter, requests_per_minute=2, concurrency=1).enter()
    await first.leave()
    second = caller(limiter, requests_per_minute=2, concurrency=1)
    await second.enter()
    await second.leave()
    with pytest.raises(RateLimitedError, match="2 requests per minute"):
        await caller(limiter, requests_per_minute=2, concurrency=1).enter()
    clock.now += 60
    await caller(limiter, requests_per_minute=2, concurrency=1).enter()


async def test_requests_at_the_same_time_are_counted_until_they_end(limiter: Limiter) -> None:
    running = [caller(limiter, concurrency=2) for _ in range(2)]
    for one in running:
        await one.enter()
    with pytest.raises(RateLimitedError, match="2 requests at the same time") as caught:
        await caller(limiter, concurrency=2).enter()
    assert caught.value.retry_after_seconds == 1
    await running[0].leave()
    await running[0].leave()
    await caller(limiter, concurrency=2).enter()
    with pytest.raises(RateLimitedError):
        await caller(limiter, concurrency=2).enter()


async def test_a_request_whose_end_nobody_saw_ends_with_its_lease(
    limiter: Limiter, clock: Clock
) -> None:
    await caller(limiter, concurrency=1).enter()
    clock.now += LEASE_SECONDS + 1
    await caller(limiter, concurrency=1).enter()


async def test_an_answer_is_reserved_whole_and_then_counts_as_what_it_took(
    limiter: Limiter,
) -> None:
    one = caller(limiter, tokens_per_minute=100)
    await one.enter()
    assert one.standing("tokens") == RemainingLimit(100, 100, 25)
    reservation = await one.reserve(70)
    assert one.standing("tokens") == RemainingLimit(100, 30, 25)
    other = caller(limiter, tokens_per_minute=100)
    with pytest.raises(RateLimitedError, match="70 are used, and this needs 31"):
        await other.reserve(31)
    await one.settle(reservation, 10)
    assert one.standing("tokens") == RemainingLimit(100, 90, 25)
    await other.reserve(31)


async def test_what_took_more_than_was_reserved_leaves_nothing_less(limiter: Limiter) -> None:
    one = caller(limiter, tokens_per_minute=100)
    await one.settle(await one.reserve(70), 130)
    assert one.standing("tokens") == RemainingLimit(100, 0, 25)
    with pytest.raises(RateLimitedError, match="130 are used, and this needs 1"):
        await caller(limiter, tokens_per_minute=100).reserve(1)


async def test_what_is_settled_after_its_minute_counts_in_that_minute(
    limiter: Limiter, clock: Clock
) -> None:
    one = caller(limiter, tokens_per_minute=100)
    reservation = await one.reserve(90)
    clock.now += 30
    await one.settle(reservation, 95)
    other = caller(limiter, tokens_per_minute=100)
    await other.reserve(100)


async def test_tokens_of_a_day_last_until_midnight_utc(limiter: Limiter, clock: Clock) -> None:
    limits = {"tokens_per_minute": 100, "tokens_per_day": 150}
    await caller(limiter, "alice", **limits).reserve(100)
    clock.now += 60
    one = caller(limiter, "alice", **limits)
    await one.enter()
    until_midnight = 86_400 - clock.now % 86_400
    assert one.standing("tokens") == RemainingLimit(150, 50, until_midnight)
    with pytest.raises(RateLimitedError, match="150 tokens per day") as caught:
        await one.reserve(60)
    assert caught.value.retry_after_seconds == until_midnight
    clock.now += until_midnight
    await one.reserve(100)


async def test_what_can_never_fit_is_refused_without_a_time_to_wait(limiter: Limiter) -> None:
    with pytest.raises(RateLimitedError, match="it can never fit") as caught:
        await caller(limiter, tokens_per_minute=100).reserve(101)
    assert caught.value.retry_after_seconds is None


async def test_what_is_forced_is_counted_and_not_refused(limiter: Limiter) -> None:
    one = caller(limiter, tokens_per_minute=100)
    await one.reserve(90)
    await one.reserve(90, is_forced=True)
    with pytest.raises(RateLimitedError, match="180 are used"):
        await caller(limiter, tokens_per_minute=100).reserve(1)


async def test_a_key_without_limits_asks_nobody() -> None:
    one = caller(Limiter(RedisCounters(url_of(free_port()))))
    await one.enter()
    await one.settle(await one.reserve(10**9), 10**9)
    await one.leave()
    assert (one.standing("requests"), one.standing("tokens")) == (None, None)


ALL = {"requests_per_minute": 1, "tokens_per_minute": 1, "concurrency": 1}


async def test_while_counts_are_out_of_reach_limited_keys_are_refused(
    caplog: pytest.LogCaptureFixture,
) -> None:
    limiter = Limiter(RedisCounters(url_of(free_port())))
    with caplog.at_level(logging.WARNING):
        for limits in ({"concurrency": 1}, {"requests_per_minute": 1}):
            with pytest.raises(CountersUnavailableError):
                await caller(limiter, "alice", **limits).enter()
        with pytest.raises(CountersUnavailableError):
            await caller(limiter, tokens_per_minute=1).reserve(1)
    assert caplog.text.count("limits cannot be checked") == 1


async def test_or_pass_where_that_was_chosen(caplog: pytest.LogCaptureFixture) -> None:
    limiter = Limiter(RedisCounters(url_of(free_port())), fails_open=True)
    with caplog.at_level(logging.ERROR):
        for _ in range(3):
            one = caller(limiter, "alice", **ALL)
            await one.enter()
            await one.settle(await one.reserve(5), 5)
            await one.leave()
            assert one.standing("requests") is None
    assert caplog.text.count("every request passes") == 1


async def test_every_store_counts_the_same(counters: Counters, clock: Clock) -> None:
    limiter = Limiter(counters, clock)
    name = uuid4().hex
    one = caller(limiter, name, **{**ALL, "requests_per_minute": 2, "tokens_per_minute": 50})
    await one.enter()
    with pytest.raises(RateLimitedError, match="at the same time"):
        await caller(limiter, name, concurrency=1).enter()
    await one.settle(await one.reserve(40), 20)
    assert one.standing("requests") == RemainingLimit(2, 1, 25)
    assert one.standing("tokens") == RemainingLimit(50, 30, 25)
    await one.leave()
    await caller(limiter, name, concurrency=1).enter()


def test_a_key_does_what_its_scopes_say(limiter: Limiter) -> None:
    one = Caller(ApiKey("alice", "", scopes=frozenset({"embed"})), limiter)
    one.require("embed")
    with pytest.raises(PermissionDeniedError, match="'generate'"):
        one.require("generate")


@pytest.mark.parametrize(
    ("models", "names", "may"),
    [(None, ["a"], True), ({"a"}, ["b", "a"], True), ({"a"}, ["b"], False), (set(), ["a"], False)],
)
def test_a_key_uses_the_models_it_names(
    limiter: Limiter, models: set[str] | None, names: list[str], may: bool
) -> None:
    key = ApiKey("alice", "", models=None if models is None else frozenset(models))
    assert Caller(key, limiter).may_use(names) is may
