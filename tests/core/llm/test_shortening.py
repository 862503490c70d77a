"""Conversations that are too long for the context, and what is left of them."""

from collections.abc import Iterable
from dataclasses import replace

import pytest

from llm_api.core.errors import ContextLengthExceededError
from llm_api.core.llm.shortening import Shortened, ShorteningBackend, droppable
from llm_api.core.llm.types import Annotation, ChatPrompt, GenerationRequest, Message, ToolCall
from tests.fakes import CARD, FakeBackend, Step, hello

CALL = ToolCall("c", "now", "{}")


def asked(*turns: Message, max_tokens: int = 8) -> GenerationRequest:
    return GenerationRequest(ChatPrompt(turns), max_tokens)


def said(count: int, role: str = "user") -> Message:
    return Message(role, "word " * count)  # type: ignore[arg-type]


async def dropped(backend: FakeBackend, request: GenerationRequest) -> list[tuple[int, ...]]:
    events = [event async for event in ShorteningBackend(backend).generate(request)]
    notes = [event.value for event in events if isinstance(event, Annotation)]
    return [note.turns for note in notes if isinstance(note, Shortened)]


def contents(backend: FakeBackend) -> list[str]:
    prompt = backend.requests[-1].prompt
    assert isinstance(prompt, ChatPrompt)
    return [turn.content for turn in prompt.messages]


def test_calls_go_with_their_results_and_system_turns_and_the_last_stay() -> None:
    turns = [
        Message("system", "Be brief."),
        Message("user", "When?"),
        Message("assistant", "", tool_calls=(CALL,)),
        Message("tool", "noon", tool_call_id="c"),
        Message("system", "Be kind."),
        Message("user", "Thanks."),
    ]
    assert droppable(turns) == [[1], [2, 3]]


async def test_what_fits_stays_whole() -> None:
    backend = FakeBackend(card=replace(CARD, context_length=100))
    assert await dropped(backend, asked(said(10), said(10))) == []


async def test_the_oldest_turns_go_until_the_rest_fits() -> None:
    backend = FakeBackend(card=replace(CARD, context_length=100))
    request = asked(said(20, "system"), said(40), said(20), said(20))
    assert await dropped(backend, request) == [(1,)]
    assert contents(backend) == [said(20).content] * 3


async def test_more_goes_where_the_estimate_was_too_low() -> None:
    def too_long(request: GenerationRequest) -> Iterable[Step]:
        assert isinstance(request.prompt, ChatPrompt)
        if len(request.prompt.messages) > 2:
            return [ContextLengthExceededError("Too long.", param="messages")]
        return hello(request)

    backend = FakeBackend(too_long, replace(CARD, context_length=1000))
    request = asked(said(1, "system"), said(1), said(1), said(2))
    assert await dropped(backend, request) == [(1, 2)]


async def test_what_cannot_be_shortened_is_refused() -> None:
    backend = FakeBackend(lambda _: [ContextLengthExceededError("Too long.", param="messages")])
    with pytest.raises(ContextLengthExceededError):
        await dropped(backend, asked(said(1, "system"), said(1)))
