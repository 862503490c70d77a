"""What is Ollama's alone. What it shares with others is in `test_native_backends`."""

from dataclasses import replace
from typing import Final

import pytest

from llm_api.core.errors import UnavailableError, UnsupportedParameterError
from llm_api.core.llm.backend import ModelCard
from llm_api.core.llm.backends.ollama import open_ollama
from llm_api.core.llm.backends.upstream_backend import UpstreamOptions
from llm_api.core.llm.types import (
    ChatPrompt,
    Event,
    Finished,
    GenerationRequest,
    Message,
    ReasoningDelta,
    TextDelta,
    TextPrompt,
    Timings,
    ToolCallStarted,
    ToolChoice,
    ToolSpec,
    Usage,
)
from tests.core.llm.backends.ollama_stand_in import MODEL, THOUGHT, WORDS, ollama
from tests.upstreams import StandIn, stand_in

CARD: Final = ModelCard("elsewhere", 1, "llm_api", context_length=4096)
MESSAGES: Final = (Message("user", "Hi"),)
TWO_TOOLS: Final = ChatPrompt(MESSAGES, tools=(ToolSpec("weather"), ToolSpec("clock")))
BOTH: Final = frozenset({"weather", "clock"})


async def said(
    upstream: StandIn, request: GenerationRequest, model: str = MODEL, key: str | None = None
) -> list[Event]:
    backend = await open_ollama(CARD, UpstreamOptions(upstream.url, model, key))
    try:
        return [event async for event in backend.generate(request)]
    finally:
        await backend.aclose()


async def test_text_is_continued() -> None:
    async with stand_in(ollama) as upstream:
        answered = await said(upstream, GenerationRequest(TextPrompt("Once"), 9))
    assert [event.text for event in answered if isinstance(event, TextDelta)] == list(WORDS)
    assert upstream.asked[0].path == "/api/generate"


async def test_usage_and_timings_are_ollamas_own() -> None:
    async with stand_in(ollama) as upstream:
        answered = await said(upstream, GenerationRequest(ChatPrompt(MESSAGES), 9))
    assert answered[-1] == Finished("stop", Usage(26, 3), Timings(1.0, 0.5, 0.25))


async def test_thoughts_are_told_apart() -> None:
    prompt = ChatPrompt(MESSAGES, {"enable_thinking": True})
    async with stand_in(ollama) as upstream:
        answered = await said(upstream, GenerationRequest(prompt, 9))
    assert ReasoningDelta(THOUGHT) in answered


async def test_one_call_at_most_where_that_is_asked_for() -> None:
    choice = ToolChoice("auto", BOTH, is_parallel=False)
    async with stand_in(ollama) as upstream:
        answered = await said(upstream, GenerationRequest(TWO_TOOLS, 9, tool_choice=choice))
    assert len([event for event in answered if isinstance(event, ToolCallStarted)]) == 1


async def test_a_call_cannot_be_demanded() -> None:
    choice = ToolChoice("required", BOTH)
    async with stand_in(ollama) as upstream:
        with pytest.raises(UnsupportedParameterError, match="tool_choice"):
            await said(upstream, GenerationRequest(TWO_TOOLS, 9, tool_choice=choice))
    assert upstream.asked == []


async def test_a_model_that_is_not_there_can_be_pulled() -> None:
    async with stand_in(ollama) as upstream:
        with pytest.raises(UnavailableError, match=r"'nosuch' not found .*`ollama pull nosuch`"):
            await said(upstream, GenerationRequest(ChatPrompt(MESSAGES), 9), model="nosuch")


async def test_the_cards_context_length_is_the_servers_and_a_key_is_a_bearers() -> None:
    async with stand_in(ollama) as upstream:
        await said(upstream, GenerationRequest(ChatPrompt(MESSAGES), 9), key="secret")
    (asked,) = upstream.asked
    assert asked.body["options"]["num_ctx"] == 4096
    assert asked.headers["authorization"] == "Bearer secret"


async def test_a_card_keeps_all_but_who_answers() -> None:
    backend = await open_ollama(CARD, UpstreamOptions("http://127.0.0.1:9", MODEL))
    assert replace(backend.card, backend="llama", capabilities=CARD.capabilities) == CARD
    await backend.aclose()
