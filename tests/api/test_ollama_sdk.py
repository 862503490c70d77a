"""Ollama's official client: what it is made for, and reads strictly. Its server is this one."""

from collections.abc import Iterator

import pytest
from ollama import Client, ResponseError
from pydantic import BaseModel

from llm_api.core.llm.backend import ModelCard
from llm_api.core.llm.backends.ollama import open_ollama
from llm_api.core.llm.backends.upstream_backend import UpstreamOptions
from llm_api.core.llm.collect import Choice
from llm_api.core.llm.types import (
    ChatPrompt,
    Finished,
    GenerationRequest,
    JSONFormat,
    Message,
    ReasoningDelta,
    Sampling,
    Started,
    TextDelta,
    ToolCall,
    ToolCallDelta,
    ToolCallStarted,
    ToolChoice,
    ToolSpec,
    Usage,
)
from tests.core.embeddings.fake_encoder import EMBEDDING_ID
from tests.fakes import MODEL_ID, FakeBackend, Step, spoken

HELLO = {"role": "user", "content": "Hi"}
CALLS: list[Step] = [
    Started(5),
    ReasoningDelta("Ask."),
    TextDelta("Let me see."),
    ToolCallStarted(0, "call_a", "weather"),
    ToolCallDelta(0, '{"city": "Oslo"}'),
    Finished("tool_calls", Usage(5, 4)),
]


class Weather(BaseModel):
    degrees: int


def weather(city: str) -> str:
    """The weather.

    Args:
        city: Where.
    """
    return city


@pytest.fixture
def sdk(base_url: str) -> Iterator[Client]:
    with Client(host=base_url, trust_env=False) as client:
        yield client


def test_a_conversation_is_answered_whole_and_streamed(sdk: Client) -> None:
    answer = sdk.chat(MODEL_ID, [HELLO])
    assert (answer.message.content, answer.done, answer.done_reason) == (
        "Hello world!",
        True,
        "stop",
    )
    assert (answer.prompt_eval_count, answer.eval_count) == (5, 3)
    *said, last = sdk.chat(MODEL_ID, [HELLO], stream=True)
    assert [part.message.content for part in said] == ["Hello", " world", "!"]
    assert last.done
    assert sdk.generate(MODEL_ID, "Hi", system="Be brief.").response == "Hello world!"
    parts = sdk.generate(MODEL_ID, "Hi", stream=True, options={"num_predict": 5, "num_gpu": 1})
    assert "".join(part.response or "" for part in parts) == "Hello world!"


@pytest.mark.parametrize("is_streamed", [False, True])
def test_calls_thoughts_and_results_go_round(
    sdk: Client, backend: FakeBackend, is_streamed: bool
) -> None:
    backend.script = lambda _: CALLS
    if is_streamed:
        parts = [part.message for part in sdk.chat(
            MODEL_ID, [HELLO], tools=[weather], think=True, stream=True
        )]  # fmt: skip
        [call] = [call for part in parts for call in part.tool_calls or ()]
        assert "".join(part.thinking or "" for part in parts) == "Ask."
        said = parts[0]
        said.tool_calls = [call]
    else:
        said = sdk.chat(MODEL_ID, [HELLO], tools=[weather], think=True).message
        assert said.thinking == "Ask."
        assert said.tool_calls is not None
        [call] = said.tool_calls
    assert (call.function.name, call.function.arguments) == ("weather", {"city": "Oslo"})
    backend.script = lambda _: spoken("Rain.")
    result = {"role": "tool", "content": "rain", "tool_name": "weather"}
    assert sdk.chat(MODEL_ID, [HELLO, said, result], tools=[weather]).message.content == "Rain."
    prompt = backend.requests[-1].prompt
    assert isinstance(prompt, ChatPrompt)
    assert prompt.messages[1].tool_calls[0].arguments == '{"city":"Oslo"}'
    assert prompt.messages[2].tool_call_id == prompt.messages[1].tool_calls[0].id


def test_a_schema_is_the_answers_form(sdk: Client, backend: FakeBackend) -> None:
    backend.script = lambda _: spoken('{"degrees": ', "4}")
    answer = sdk.chat(MODEL_ID, [HELLO], format=Weather.model_json_schema())
    assert Weather.model_validate_json(answer.message.content or "") == Weather(degrees=4)
    assert backend.requests[0].output_format == JSONFormat(Weather.model_json_schema())


def test_models_are_listed_shown_and_embed(sdk: Client) -> None:
    assert f"{MODEL_ID}:latest" in [one.model for one in sdk.list().models]
    assert sdk.show(f"{MODEL_ID}:latest").capabilities == ["completion", "tools", "insert"]
    assert [one.model for one in sdk.ps().models] == [f"{MODEL_ID}:latest"]
    embedded = sdk.embed(EMBEDDING_ID, ["One", "Two"])
    assert [len(vector) for vector in embedded.embeddings] == [8, 8]
    assert list(sdk.embeddings(EMBEDDING_ID, "One").embedding) == list(embedded.embeddings[0])


def test_an_error_is_read_as_one(sdk: Client, backend: FakeBackend) -> None:
    with pytest.raises(ResponseError) as raised:
        sdk.chat("llama3.2", [HELLO])
    assert raised.value.status_code == 404
    assert "`llama3.2` does not exist" in raised.value.error
    backend.script = lambda _: spoken("a")[:-1]
    with pytest.raises(ResponseError, match="ended before it was complete"):
        list(sdk.chat(MODEL_ID, [HELLO], stream=True))


async def test_our_backend_for_ollama_reads_our_own_door(
    base_url: str, backend: FakeBackend
) -> None:
    backend.script = lambda _: CALLS
    card = ModelCard("elsewhere", 1, "llm_api", context_length=None)
    ours = await open_ollama(card, UpstreamOptions(base_url, MODEL_ID, None))
    prompt = ChatPrompt((Message("user", "Hi"),), tools=(ToolSpec("weather", "The weather."),))
    request = GenerationRequest(
        prompt, 9, Sampling(temperature=0.5, seed=7), ("END",),
        tool_choice=ToolChoice("auto", frozenset({"weather"})),
    )  # fmt: skip
    answer = Choice()
    try:
        async for event in ours.generate(request):
            answer.take(event)
    finally:
        await ours.aclose()
    assert ("".join(answer.text), "".join(answer.reasoning)) == ("Let me see.", "Ask.")
    assert answer.tool_calls == (ToolCall("call_a", "weather", '{"city": "Oslo"}'),)
    assert answer.finished is not None
    assert (answer.finished.reason, answer.finished.usage) == ("tool_calls", Usage(5, 4))
    [asked] = backend.requests
    assert (asked.max_tokens, asked.stop, asked.sampling) == (9, ("END",), request.sampling)
    assert asked.tool_choice == request.tool_choice
