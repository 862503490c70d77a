"""Responses with the official SDK in strict mode, and LangChain, over a real socket."""

from collections.abc import Iterator
from typing import Any

import openai
import pytest
from langchain_core.messages import AIMessage, AIMessageChunk, HumanMessage, ToolMessage
from langchain_openai import ChatOpenAI
from openai import OpenAI
from pydantic import BaseModel

from llm_api.core.errors import GenerationError
from llm_api.core.llm.types import (
    ChatPrompt,
    Finished,
    JSONFormat,
    Message,
    ReasoningDelta,
    Started,
    TextDelta,
    ToolCallDelta,
    ToolCallStarted,
    Usage,
)
from tests.fakes import ALIAS, FakeBackend, Step, spoken

WEATHER: Any = {
    "type": "function",
    "name": "weather",
    "description": "How it is there.",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    "strict": False,
}


class City(BaseModel):
    name: str


@pytest.fixture
def sdk(base_url: str) -> Iterator[OpenAI]:
    strict = {"_strict_response_validation": True}
    with OpenAI(base_url=f"{base_url}/v1", api_key="unused", max_retries=0, **strict) as sdk:  # type: ignore[arg-type]
        yield sdk


def thoughtful(_: object) -> list[Step]:
    """Thinks, speaks, and makes two calls."""
    return [
        Started(5),
        ReasoningDelta("Where?"),
        TextDelta("Let me "),
        TextDelta("look."),
        ToolCallStarted(0, "call_0", "weather"),
        ToolCallDelta(0, '{"city": '),
        ToolCallDelta(0, '"Oslo"}'),
        ToolCallStarted(1, "call_1", "weather"),
        ToolCallDelta(1, '{"city": "Rome"}'),
        Finished("tool_calls", Usage(5, 9, 2, 1)),
    ]


def turns_of(backend: FakeBackend) -> list[Message]:
    prompt = backend.requests[-1].prompt
    assert isinstance(prompt, ChatPrompt)
    return list(prompt.messages)


def test_the_sdk_rebuilds_the_final_response(sdk: OpenAI, backend: FakeBackend) -> None:
    backend.script = thoughtful
    with sdk.responses.stream(model=ALIAS, input="Hi", tools=[WEATHER]) as stream:
        texts = [one.snapshot for one in stream if one.type == "response.output_text.delta"]
        final = stream.get_final_response()
    assert [*texts, final.output_text] == ["Let me ", "Let me look.", "Let me look."]
    stored = sdk.responses.retrieve(final.id)
    kinds = ["reasoning", "message", "function_call", "function_call"]
    assert [item.type for item in final.output] == [item.type for item in stored.output] == kinds
    assert stored.output_text == final.output_text


def test_the_sdk_parses_what_is_held_to_a_schema(sdk: OpenAI, backend: FakeBackend) -> None:
    backend.script = lambda _: spoken('{"name": ', '"Oslo"}')
    parsed = sdk.responses.parse(model=ALIAS, input="Hi", text_format=City)
    with sdk.responses.stream(model=ALIAS, input="Hi", text_format=City) as stream:
        streamed = stream.get_final_response()
    assert parsed.output_parsed == streamed.output_parsed == City(name="Oslo")
    asked = backend.requests[0].output_format
    assert isinstance(asked, JSONFormat)
    assert asked.schema["required"] == ["name"]


def test_the_sdk_sends_an_answer_back_with_what_its_calls_gave(
    sdk: OpenAI, backend: FakeBackend
) -> None:
    backend.script = thoughtful
    first = sdk.responses.create(model=ALIAS, input="Hi", tools=[WEATHER])
    outputs: list[Any] = [
        {"type": "function_call_output", "call_id": f"call_{at}", "output": "sunny"}
        for at in range(2)
    ]
    sdk.responses.create(model=ALIAS, input=outputs, previous_response_id=first.id)
    by_id = turns_of(backend)
    history: list[Any] = [{"role": "user", "content": "Hi"}, *first.output, *outputs]
    sdk.responses.create(model=ALIAS, input=history, store=False)
    assert turns_of(backend) == by_id
    assert [turn.role for turn in by_id] == ["user", "assistant", "tool", "tool"]
    assert (by_id[1].content, by_id[1].reasoning) == ("Let me look.", "Where?")
    assert [call.arguments for call in by_id[1].tool_calls] == [
        '{"city": "Oslo"}',
        '{"city": "Rome"}',
    ]


def test_the_sdk_holds_a_conversation_of_the_server(sdk: OpenAI, backend: FakeBackend) -> None:
    conversation = sdk.conversations.create(metadata={"topic": "greetings"})
    sdk.responses.create(model=ALIAS, input="One", conversation=conversation.id)
    sdk.responses.create(model=ALIAS, input="Two", conversation=conversation.id)
    items = list(sdk.conversations.items.list(conversation.id, order="asc", limit=1))
    assert [item.type for item in items] == ["message"] * 4
    assert [turn.content for turn in turns_of(backend)] == ["One", "Hello world!", "Two"]


def test_the_sdk_takes_up_a_stream(sdk: OpenAI, backend: FakeBackend) -> None:
    backend.script = lambda _: spoken(*["word "] * 20, pause_seconds=0.005)
    seen = []
    with sdk.responses.create(model=ALIAS, input="Hi", background=True, stream=True) as stream:
        for event in stream:
            seen.append(event)
            if len(seen) == 8:
                break
    created = seen[0]
    assert created.type == "response.created"
    seen += sdk.responses.retrieve(created.response.id, stream=True, starting_after=7)
    assert [event.sequence_number for event in seen] == list(range(len(seen)))
    assert seen[-1].type == "response.completed"
    assert sdk.responses.input_items.list(created.response.id).data[0].type == "message"


def test_the_sdk_raises_its_own_class(sdk: OpenAI, backend: FakeBackend) -> None:
    backend.script = lambda _: [GenerationError("Broken.")]
    with pytest.raises(openai.InternalServerError):
        sdk.responses.create(model=ALIAS, input="Hi")
    with pytest.raises(openai.NotFoundError):
        sdk.responses.retrieve("resp_0")


@pytest.fixture
def langchain(base_url: str) -> ChatOpenAI:
    return ChatOpenAI(
        base_url=f"{base_url}/v1",
        api_key="unused",  # type: ignore[arg-type]
        model=ALIAS,
        use_responses_api=True,
        use_previous_response_id=True,
    )


@pytest.mark.parametrize("is_streamed", [False, True])
def test_langchain_goes_on_from_what_it_was_answered(
    langchain: ChatOpenAI, backend: FakeBackend, is_streamed: bool
) -> None:
    backend.script = thoughtful
    model = langchain.bind_tools([WEATHER])
    question = HumanMessage("Hi")
    if is_streamed:
        chunks = [chunk for chunk in model.stream([question]) if isinstance(chunk, AIMessageChunk)]
        answer: AIMessage = sum(chunks[1:], chunks[0])
    else:
        answer = model.invoke([question])
    assert answer.text == "Let me look."
    assert [call["args"] for call in answer.tool_calls] == [{"city": "Oslo"}, {"city": "Rome"}]
    assert answer.usage_metadata is not None
    assert answer.usage_metadata["output_tokens"] == 9
    results = [ToolMessage("sunny", tool_call_id=f"call_{at}") for at in range(2)]
    model.invoke([question, answer, *results])
    turns = turns_of(backend)
    assert [turn.role for turn in turns] == ["user", "assistant", "tool", "tool"]
    assert turns[1].reasoning == "Where?"
