"""The official clients take our stand-ins for the real thing."""

from typing import Any

import anthropic
import ollama as ollama_client
import pytest
from anthropic.types import ToolParam

from tests.core.llm.backends import claude_stand_in, ollama_stand_in
from tests.core.llm.backends.claude_stand_in import claude
from tests.core.llm.backends.ollama_stand_in import ollama
from tests.upstreams import stand_in

OLLAMA_TOOL = {
    "type": "function",
    "function": {"name": "weather", "parameters": {"type": "object", "properties": {}}},
}
CLAUDE_TOOL: ToolParam = {"name": "weather", "input_schema": {"type": "object"}}
TURN: Any = {"role": "user", "content": "Hi"}


async def test_ollamas_client_chats_with_the_stand_in() -> None:
    async with stand_in(ollama) as upstream, ollama_client.AsyncClient(upstream.url) as client:
        whole = await client.chat("llama2", [TURN], think=True)
        stream = await client.chat("llama2", [TURN], stream=True)
        parts = [part async for part in stream]
    assert whole.message.content == "".join(ollama_stand_in.WORDS)
    assert whole.message.thinking == ollama_stand_in.THOUGHT
    assert [part.message.content for part in parts] == [*ollama_stand_in.WORDS, ""]
    assert parts[-1].eval_count == whole.eval_count == 3


async def test_ollamas_client_continues_text_with_the_stand_in() -> None:
    async with stand_in(ollama) as upstream, ollama_client.AsyncClient(upstream.url) as client:
        whole = await client.generate("llama2", "Hi", raw=True)
        stream = await client.generate("llama2", "Hi", raw=True, stream=True)
        parts = [part.response async for part in stream]
    assert whole.response == "".join(ollama_stand_in.WORDS)
    assert parts == [*ollama_stand_in.WORDS, ""]


async def test_ollamas_client_is_called_by_the_stand_in() -> None:
    async with stand_in(ollama) as upstream, ollama_client.AsyncClient(upstream.url) as client:
        whole = await client.chat("llama2", [TURN], tools=[OLLAMA_TOOL])
        stream = await client.chat("llama2", [TURN], tools=[OLLAMA_TOOL], stream=True)
        first, *_ = [part async for part in stream]
    for said in (whole, first):
        assert said.message.tool_calls is not None
        (call,) = said.message.tool_calls
        assert (call.function.name, call.function.arguments) == (
            "weather",
            ollama_stand_in.ARGUMENTS,
        )


async def test_ollamas_client_is_refused_another_model() -> None:
    async with stand_in(ollama) as upstream, ollama_client.AsyncClient(upstream.url) as client:
        with pytest.raises(ollama_client.ResponseError, match="not found") as caught:
            await client.chat("other", [TURN])
    assert caught.value.status_code == 404


def _anthropic(url: str, key: str = claude_stand_in.KEY) -> anthropic.AsyncAnthropic:
    return anthropic.AsyncAnthropic(base_url=url, api_key=key, max_retries=0)


async def test_anthropics_client_talks_with_the_stand_in() -> None:
    async with stand_in(claude) as upstream, _anthropic(upstream.url) as client:
        whole = await client.messages.create(
            model=claude_stand_in.MODEL,
            max_tokens=9,
            messages=[TURN],
            thinking={"type": "adaptive"},
        )
        async with client.messages.stream(
            model=claude_stand_in.MODEL,
            max_tokens=9,
            messages=[TURN],
            thinking={"type": "adaptive"},
        ) as stream:
            texts = [text async for text in stream.text_stream]
            final = await stream.get_final_message()
    assert texts == list(claude_stand_in.WORDS)
    assert final.to_dict()["content"] == whole.to_dict()["content"]
    assert final.stop_reason == whole.stop_reason == "end_turn"
    assert final.usage.output_tokens == whole.usage.output_tokens == 3


async def test_anthropics_client_is_called_by_the_stand_in() -> None:
    async with stand_in(claude) as upstream, _anthropic(upstream.url) as client:
        whole = await client.messages.create(
            model=claude_stand_in.MODEL,
            max_tokens=9,
            messages=[TURN],
            tools=[CLAUDE_TOOL],
            tool_choice={"type": "auto"},
        )
        async with client.messages.stream(
            model=claude_stand_in.MODEL,
            max_tokens=9,
            messages=[TURN],
            tools=[CLAUDE_TOOL],
            tool_choice={"type": "auto"},
        ) as stream:
            final = await stream.get_final_message()
    for message in (whole, final):
        (block,) = message.content
        assert isinstance(block, anthropic.types.ToolUseBlock)
        assert (block.name, block.input) == ("weather", claude_stand_in.ARGUMENTS)
        assert message.stop_reason == "tool_use"


async def test_anthropics_client_is_refused_with_another_key_or_model() -> None:
    async with stand_in(claude) as upstream:
        async with _anthropic(upstream.url, "other") as client:
            with pytest.raises(anthropic.AuthenticationError):
                await client.models.retrieve(claude_stand_in.MODEL)
        async with _anthropic(upstream.url) as client:
            model = await client.models.retrieve(claude_stand_in.MODEL)
            with pytest.raises(anthropic.NotFoundError):
                await client.models.retrieve("other")
    assert model.id == claude_stand_in.MODEL
