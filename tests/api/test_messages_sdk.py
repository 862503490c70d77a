"""Anthropic's own SDK against the API over a real socket, its answers checked against its types."""

from collections.abc import Iterator

import anthropic
import pytest
from anthropic import Anthropic
from fastapi import FastAPI

from llm_api.core.errors import (
    ContextLengthExceededError,
    GenerationError,
    LLMAPIError,
    OverloadedError,
    UnavailableError,
)
from llm_api.core.llm.types import (
    Finished,
    GenerationRequest,
    ReasoningDelta,
    Started,
    TextDelta,
    ToolCallDelta,
    ToolCallStarted,
    Usage,
)
from tests.api.keyed import SECRET, keyed_app
from tests.fakes import MODEL_ID, FakeBackend, FakeServices, Step, spoken
from tests.live import live_server


@pytest.fixture(params=["", "/v1"], ids=["root", "v1"])
def sdk(base_url: str, request: pytest.FixtureRequest) -> Iterator[Anthropic]:
    with Anthropic(base_url=base_url + request.param, api_key="unused", max_retries=0) as sdk:
        yield sdk


def ask(sdk: Anthropic, model: str = MODEL_ID) -> anthropic.types.Message:
    return sdk.messages.create(
        model=model, max_tokens=64, messages=[{"role": "user", "content": "Hi"}]
    )


def thoughtful(_: GenerationRequest) -> list[Step]:
    return [
        Started(11),
        ReasoningDelta("Hm."),
        TextDelta("Let me "),
        TextDelta("see."),
        ToolCallStarted(0, "call_1", "weather"),
        ToolCallDelta(0, '{"city": '),
        ToolCallDelta(0, '"Oslo"}'),
        Finished("tool_calls", Usage(11, 7, cached_tokens=4)),
    ]


def test_the_sdk_holds_a_conversation(sdk: Anthropic, backend: FakeBackend) -> None:
    first = ask(sdk)
    assert first.content[0].type == "text"
    assert first.content[0].text == "Hello world!"
    assert first._request_id is not None
    sdk.messages.create(
        model=MODEL_ID,
        max_tokens=64,
        system="Be brief.",
        messages=[
            {"role": "user", "content": "Hi"},
            {"role": "assistant", "content": first.content},
            {"role": "user", "content": "Again"},
        ],
    )
    assert len(backend.requests[1].prompt.messages) == 4  # type: ignore[union-attr]


def test_the_sdk_streams_thoughts_words_and_calls(sdk: Anthropic, backend: FakeBackend) -> None:
    backend.script = thoughtful
    with sdk.messages.stream(
        model=MODEL_ID,
        max_tokens=64,
        messages=[{"role": "user", "content": "The weather in Oslo?"}],
        tools=[{"name": "weather", "input_schema": {"type": "object"}}],
        tool_choice={"type": "auto", "disable_parallel_tool_use": True},
    ) as stream:
        assert "".join(stream.text_stream) == "Let me see."
        streamed = stream.get_final_message()
    thought, said, call = streamed.content
    assert thought.type == "thinking"
    assert (thought.thinking, bool(thought.signature)) == ("Hm.", True)
    assert said.type == "text"
    assert call.type == "tool_use"
    assert (call.name, call.input) == ("weather", {"city": "Oslo"})
    assert streamed.stop_reason == "tool_use"
    usage = streamed.usage
    assert (usage.input_tokens, usage.cache_read_input_tokens, usage.output_tokens) == (7, 4, 7)


def test_the_sdk_counts_tokens_and_lists_models(sdk: Anthropic) -> None:
    counted = sdk.messages.count_tokens(
        model=MODEL_ID, messages=[{"role": "user", "content": "one two three"}]
    )
    assert counted.input_tokens == 5
    assert [model.id for model in sdk.models.list()] == [MODEL_ID]
    assert sdk.models.retrieve(MODEL_ID).display_name == MODEL_ID


@pytest.mark.parametrize(
    ("error", "raised"),
    [
        (ContextLengthExceededError("x"), anthropic.BadRequestError),
        (OverloadedError("x", retry_after_seconds=1), anthropic.RateLimitError),
        (UnavailableError("x"), anthropic.InternalServerError),
        (GenerationError("x"), anthropic.InternalServerError),
    ],
    ids=["context", "overloaded", "unavailable", "generation"],
)
def test_the_sdk_raises_its_own_errors(
    base_url: str, backend: FakeBackend, error: LLMAPIError, raised: type[Exception]
) -> None:
    backend.script = lambda _: [error]
    with (
        Anthropic(base_url=base_url, api_key="unused", max_retries=0) as sdk,
        pytest.raises(raised),
    ):
        ask(sdk)


def test_the_sdk_raises_what_breaks_off_a_stream(base_url: str, backend: FakeBackend) -> None:
    backend.script = lambda _: [*spoken("a")[:-1], GenerationError("It broke.")]
    with (
        Anthropic(base_url=base_url, api_key="unused", max_retries=0) as sdk,
        sdk.messages.stream(
            model=MODEL_ID, max_tokens=64, messages=[{"role": "user", "content": "Hi"}]
        ) as stream,
        pytest.raises(anthropic.APIStatusError, match=r"It broke\."),
    ):
        stream.until_done()


def test_the_sdk_is_told_of_keys_and_names_that_are_not_there(
    services: FakeServices, app: FastAPI
) -> None:
    with live_server(keyed_app(services)) as url:
        with (
            Anthropic(base_url=url, api_key="wrong", max_retries=0) as stranger,
            pytest.raises(anthropic.AuthenticationError),
        ):
            ask(stranger)
        with Anthropic(base_url=url, auth_token=SECRET, max_retries=0) as known:
            assert ask(known).stop_reason == "end_turn"
            with pytest.raises(anthropic.NotFoundError):
                ask(known, "none")
