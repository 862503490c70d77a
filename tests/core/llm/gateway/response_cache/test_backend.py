"""A kept answer is given to equal requests of the same caller, and to nobody else."""

import asyncio
from contextlib import aclosing
from dataclasses import replace
from uuid import uuid4

import pytest

from llm_api.core.errors import GenerationError
from llm_api.core.llm.gateway.response_cache.backend import AnswerStore, CachingBackend
from llm_api.core.llm.gateway.response_cache.memory_answers import MemoryAnswers
from llm_api.core.llm.gateway.response_cache.recorded import MAX_ANSWER_BYTES
from llm_api.core.llm.types import (
    Event,
    Finished,
    GenerationRequest,
    RequestContext,
    Sampling,
    ServedBy,
    Started,
    TextDelta,
    TextPrompt,
    Usage,
)
from tests.fakes import CARD, FakeBackend, spoken


def greedy(scope: str = "") -> GenerationRequest:
    """A request that no other test has made."""
    prompt = TextPrompt(uuid4().hex)
    return GenerationRequest(
        prompt, 5, Sampling(temperature=0), context=RequestContext(scope, may_be_cached=True)
    )


async def answered(backend: CachingBackend, request: GenerationRequest) -> list[Event]:
    return [event async for event in backend.generate(request)]


def use(events: list[Event]) -> str | None:
    assert isinstance(events[0], Started)
    return None if events[0].served_by is None else events[0].served_by.cache


async def test_an_equal_request_gets_the_same_answer_without_the_backend(
    answers: AnswerStore,
) -> None:
    inner = FakeBackend()
    backend = CachingBackend(inner, answers, "1")
    request = greedy()
    first = await answered(backend, request)
    again = await answered(
        backend, replace(request, context=replace(request.context, is_whole=True))
    )
    assert len(inner.requests) == 1
    assert first[0] == Started(5, ServedBy("llama", cache="miss"))
    assert again[0] == Started(5, ServedBy("llama", cache="hit"))
    assert again[1:-1] == first[1:-1]
    assert first[-1] == Finished("stop", Usage(5, 3, cached_tokens=2))
    assert again[-1] == Finished("stop", Usage(5, 3, cached_tokens=5))


async def test_an_answer_that_breaks_a_schema_is_not_kept(answers: AnswerStore) -> None:
    end = Finished("tool_calls", Usage(5, 3), unenforced=("tag",))
    inner = FakeBackend(lambda _: [Started(5), end])
    backend, request = CachingBackend(inner, answers, "1"), greedy()
    for _ in range(2):
        assert use(await answered(backend, request)) == "miss"
    assert len(inner.requests) == 2


async def test_a_seed_makes_a_request_repeatable_and_another_one_another_request() -> None:
    backend = CachingBackend(FakeBackend(), MemoryAnswers(10_000, 60), "1")
    request = replace(greedy(), sampling=Sampling(temperature=1, seed=7))
    other = replace(request, sampling=Sampling(temperature=1, seed=8))
    uses = [use(await answered(backend, one)) for one in (request, request, other)]
    assert uses == ["miss", "hit", "miss"]


REQUEST = greedy()


@pytest.mark.parametrize(
    "past",
    [
        replace(REQUEST, sampling=Sampling(temperature=0.2)),
        replace(REQUEST, context=RequestContext()),
    ],
    ids=["drawn", "no-store"],
)
async def test_what_is_drawn_or_must_not_be_stored_goes_past_the_cache(
    past: GenerationRequest,
) -> None:
    inner = FakeBackend()
    backend = CachingBackend(inner, MemoryAnswers(10_000, 60), "1")
    assert use(await answered(backend, past)) is None
    assert use(await answered(backend, REQUEST)) == "miss"
    assert use(await answered(backend, past)) is None
    assert len(inner.requests) == 3


async def test_another_caller_another_model_and_another_version_miss(answers: AnswerStore) -> None:
    other = FakeBackend(card=replace(CARD, id="other"))
    request = greedy("alice")
    asked = [
        (CachingBackend(FakeBackend(), answers, "1"), request),
        (
            CachingBackend(FakeBackend(), answers, "1"),
            replace(request, context=replace(request.context, scope="bob")),
        ),
        (CachingBackend(other, answers, "1"), request),
        (CachingBackend(FakeBackend(), answers, "2"), request),
        (CachingBackend(FakeBackend(), answers, "1"), request),
    ]
    uses = [use(await answered(backend, one)) for backend, one in asked]
    assert uses == ["miss", "miss", "miss", "miss", "hit"]


async def test_an_answer_that_broke_off_is_not_kept(answers: AnswerStore) -> None:
    broken = FakeBackend(lambda _: [*spoken("a", "b")[:-1], GenerationError("broken")])
    request = greedy()
    with pytest.raises(GenerationError):
        await answered(CachingBackend(broken, answers, "1"), request)
    cut = FakeBackend(lambda _: spoken("a", "b")[:-1])
    await answered(CachingBackend(cut, answers, "1"), request)
    assert use(await answered(CachingBackend(FakeBackend(), answers, "1"), request)) == "miss"


async def test_an_answer_whose_reader_left_is_not_kept_and_ends(answers: AnswerStore) -> None:
    inner = FakeBackend()
    backend = CachingBackend(inner, answers, "1")
    request = greedy()
    async with aclosing(backend.generate(request)) as events:
        async for event in events:
            if isinstance(event, TextDelta):
                break
    assert inner.aborted == [request]
    assert use(await answered(backend, request)) == "miss"


async def test_a_reader_may_leave_in_the_middle_of_a_kept_answer() -> None:
    backend = CachingBackend(FakeBackend(), MemoryAnswers(10_000, 60), "1")
    request = greedy()
    await answered(backend, request)
    async with aclosing(backend.generate(request)) as events:
        await anext(events)
    assert use(await answered(backend, request)) == "hit"


async def test_an_answer_that_is_too_large_is_given_and_not_kept(answers: AnswerStore) -> None:
    long = FakeBackend(lambda _: spoken("x" * MAX_ANSWER_BYTES))
    backend = CachingBackend(long, answers, "1")
    request = greedy()
    for _ in range(2):
        events = await answered(backend, request)
        assert (use(events), len(events)) == ("miss", 3)


async def test_a_kept_answer_lets_other_tasks_in_between() -> None:
    backend = CachingBackend(
        FakeBackend(lambda _: spoken(*"abcdef")), MemoryAnswers(10_000, 60), "1"
    )
    request = greedy()
    await answered(backend, request)
    turns = 0

    async def other() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    task = asyncio.create_task(other())
    assert len(await answered(backend, request)) == 8
    task.cancel()
    assert turns >= 8


async def test_a_wrapped_backend_counts_tokens_as_before() -> None:
    backend = CachingBackend(FakeBackend(), MemoryAnswers(10, 60), "1")
    assert backend.card == CARD
    assert await backend.count_tokens(["a b c", ""]) == [3, 0]
