"""What is Claude's alone. What it shares with others is in `test_native_backends`."""

from typing import Final

import pytest

from llm_api.core.errors import (
    InvalidRequestError,
    OverloadedError,
    UnavailableError,
    UnsupportedParameterError,
)
from llm_api.core.llm.backend import ModelCard
from llm_api.core.llm.backends.claude import ClaudeBackend, open_claude
from llm_api.core.llm.backends.upstream_backend import UpstreamOptions
from llm_api.core.llm.types import (
    ChatPrompt,
    Event,
    Finished,
    GenerationRequest,
    Message,
    ReasoningDelta,
    Sampling,
    Started,
    TextPrompt,
    ToolCallStarted,
    ToolChoice,
    ToolSpec,
    Usage,
)
from tests.core.llm.backends.claude_stand_in import KEY, MODEL, THOUGHT, claude, failure
from tests.upstreams import StandIn, stand_in

CARD: Final = ModelCard("elsewhere", 1, "llm_api", context_length=None)
MESSAGES: Final = (Message("user", "Hi"),)
REQUEST: Final = GenerationRequest(ChatPrompt(MESSAGES), 9)


async def opened(upstream: StandIn, model: str = MODEL, key: str | None = KEY) -> ClaudeBackend:
    return await open_claude(CARD, UpstreamOptions(upstream.url, model, key))


async def said(upstream: StandIn, request: GenerationRequest = REQUEST) -> list[Event]:
    backend = await opened(upstream)
    try:
        return [event async for event in backend.generate(request)]
    finally:
        await backend.aclose()


async def test_the_whole_prompt_is_counted_before_the_answer_begins() -> None:
    async with stand_in(claude) as upstream:
        answered = await said(upstream)
    assert answered[0] == Started(26)
    usage = Usage(26, 3, cached_tokens=12, reasoning_tokens=2)
    assert answered[-1] == Finished("stop", usage)


async def test_thoughts_are_told_apart() -> None:
    prompt = ChatPrompt(MESSAGES, {"enable_thinking": True})
    async with stand_in(claude) as upstream:
        answered = await said(upstream, GenerationRequest(prompt, 9))
    assert ReasoningDelta(THOUGHT) in answered


async def test_a_call_can_be_demanded() -> None:
    prompt = ChatPrompt(MESSAGES, tools=(ToolSpec("weather"), ToolSpec("clock")))
    choice = ToolChoice("required", frozenset({"clock"}))
    async with stand_in(claude) as upstream:
        answered = await said(upstream, GenerationRequest(prompt, 9, tool_choice=choice))
    starts = [event for event in answered if isinstance(event, ToolCallStarted)]
    assert [start.name for start in starts] == ["clock"]
    assert upstream.asked[0].body["tool_choice"] == {"type": "tool", "name": "clock"}


async def test_sampling_is_taken_by_the_version_of_the_api_that_is_asked() -> None:
    async with stand_in(claude) as upstream:
        await said(upstream, GenerationRequest(REQUEST.prompt, 9, Sampling(0.5, 0.9, 40)))
    assert upstream.asked[0].body["temperature"] == 0.5


@pytest.mark.parametrize(
    ("request_", "param"),
    [
        (GenerationRequest(TextPrompt("Once"), 9), "prompt"),
        (GenerationRequest(REQUEST.prompt, 9, Sampling(temperature=1.5)), "temperature"),
        (GenerationRequest(REQUEST.prompt, 9, Sampling(seed=1)), "seed"),
    ],
)
async def test_what_cannot_be_done_is_not_sent(request_: GenerationRequest, param: str) -> None:
    async with stand_in(claude) as upstream:
        with pytest.raises(UnsupportedParameterError) as caught:
            await said(upstream, request_)
    assert caught.value.param == param
    assert upstream.asked == []


async def test_a_server_that_is_overloaded_is_busy() -> None:
    async with stand_in(lambda _: failure("overloaded_error", 529, "Overloaded")) as upstream:
        with pytest.raises(OverloadedError):
            await said(upstream)


async def test_a_request_that_is_too_large_is_the_callers() -> None:
    async with stand_in(lambda _: failure("request_too_large", 413, "Too large")) as upstream:
        with pytest.raises(InvalidRequestError, match="Too large"):
            await said(upstream)


@pytest.mark.parametrize(
    ("model", "key", "words"),
    [("nosuch", KEY, "model: nosuch"), (MODEL, "wrong", "CLAUDE_API_KEY"), (MODEL, None, "KEY")],
)
async def test_health_is_of_the_model_and_the_key(model: str, key: str | None, words: str) -> None:
    async with stand_in(claude) as upstream:
        backend = await opened(upstream, model, key)
        with pytest.raises(UnavailableError, match=words):
            await backend.check()
        await backend.aclose()
