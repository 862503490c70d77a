from contextlib import aclosing
from dataclasses import replace

import pytest

from llm_api.core.errors import (
    GenerationError,
    InvalidRequestError,
    LLMAPIError,
    OverloadedError,
    UnavailableError,
    UpstreamError,
)
from llm_api.core.llm.gateway.routing.fallback import FallbackBackend
from llm_api.core.llm.types import (
    GenerationRequest,
    Sampling,
    ServedBy,
    Started,
    TextDelta,
    TokenPrompt,
)
from tests.core.llm.gateway.routing.fakes import HELLO, events_of, plan, text_of
from tests.fakes import Step

GONE = UnavailableError("gone")


@pytest.mark.parametrize(
    "failure", [GONE, OverloadedError("busy", retry_after_seconds=1), UpstreamError("broken")]
)
async def test_a_fallback_answers_and_says_so(failure: LLMAPIError) -> None:
    backend = FallbackBackend(plan("a", [failure]), [plan("b")])
    events = await events_of(backend)
    assert events[0] == Started(5, ServedBy("kind-b", fallback="b"))
    assert text_of(events) == "Hello world!"


async def test_an_answer_of_its_own_is_passed_on_as_it_is() -> None:
    source, other = plan("a"), plan("b")
    backend = FallbackBackend(source, [other])
    assert await events_of(backend) == await events_of(plan("a"))
    assert (backend.card, other.requests) == (source.card, [])


async def test_all_but_the_last_know_that_another_stands_in() -> None:
    backends = [plan(name, [GONE]) for name in "abc"]
    backends.append(plan("d"))
    inner = FallbackBackend(backends[1], [backends[2]])
    await events_of(FallbackBackend(backends[0], [inner, backends[3]]))
    known = [one.requests[0].context.has_stand_in for one in backends]
    assert known == [True, True, True, False]


async def test_who_asks_in_tokens_has_no_stand_in() -> None:
    backend = plan("a")
    await events_of(
        FallbackBackend(backend, [plan("b")]), GenerationRequest(TokenPrompt((1, 2)), 5)
    )
    assert not backend.requests[0].context.has_stand_in


async def test_fallbacks_are_asked_in_order_and_the_first_reason_is_told() -> None:
    backends = [plan(name, [UpstreamError(f"{name} is broken")]) for name in "abc"]
    with pytest.raises(UpstreamError, match="a is broken"):
        await events_of(FallbackBackend(backends[0], backends[1:]))
    assert [len(one.requests) for one in backends] == [1, 1, 1]


async def test_a_fallback_of_a_fallback_is_named() -> None:
    inner = FallbackBackend(plan("b", [GONE]), [plan("c")])
    [started, *_] = await events_of(FallbackBackend(plan("a", [GONE]), [inner]))
    assert started == Started(5, ServedBy("kind-c", fallback="c"))


async def test_a_fallback_that_cannot_do_what_is_asked_is_passed_over() -> None:
    refusing = plan("b", [InvalidRequestError("no tools")])
    backend = FallbackBackend(plan("a", [GONE]), [refusing, plan("c")])
    assert (await events_of(backend))[0] == Started(5, ServedBy("kind-c", fallback="c"))
    alone = FallbackBackend(plan("a", [GONE]), [plan("b", [InvalidRequestError("no tools")])])
    with pytest.raises(UnavailableError):
        await events_of(alone)


@pytest.mark.parametrize("failure", [InvalidRequestError("no"), GenerationError("failed")])
async def test_nobody_stands_in_for_what_another_could_not_do_better(failure: LLMAPIError) -> None:
    other = plan("b")
    with pytest.raises(type(failure)):
        await events_of(FallbackBackend(plan("a", [failure]), [other]))
    assert other.requests == []


@pytest.mark.parametrize("which", ["a", "b"])
async def test_what_has_begun_to_answer_also_ends_the_answer(which: str) -> None:
    cut: list[Step] = [Started(5), TextDelta("Hel"), GONE]
    first: list[Step] = [GONE] if which == "b" else cut
    last = plan("c")
    backends = [plan("a", first), plan("b", cut), last]
    with pytest.raises(UnavailableError):
        await events_of(FallbackBackend(backends[0], backends[1:]))
    assert last.requests == []


@pytest.mark.parametrize(
    "request_",
    [
        GenerationRequest(TokenPrompt((1, 2)), 5),
        replace(HELLO, sampling=Sampling(logit_bias=((7, 1.0),))),
    ],
)
async def test_token_ids_are_not_handed_to_another_model(request_: GenerationRequest) -> None:
    other = plan("b")
    with pytest.raises(UnavailableError):
        await events_of(FallbackBackend(plan("a", [GONE]), [other]), request_)
    assert other.requests == []


async def test_closing_the_answer_closes_the_fallback_s() -> None:
    other = plan("b")
    async with aclosing(FallbackBackend(plan("a", [GONE]), [other]).generate(HELLO)) as events:
        await anext(events)
    assert other.aborted == [HELLO]
