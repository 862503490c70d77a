"""The official SDK, sync and async, against the API over a real socket."""

from collections.abc import Iterator

import openai
import pytest
from openai import AsyncOpenAI, OpenAI

from llm_api.core.errors import (
    ContextLengthExceededError,
    GenerationError,
    LLMAPIError,
    OverloadedError,
    UnavailableError,
)
from tests.core.embeddings.fake_encoder import EMBEDDING_ID
from tests.fakes import ALIAS, MODEL_ID, FakeBackend, spoken


@pytest.fixture
def sdk(base_url: str) -> Iterator[OpenAI]:
    with OpenAI(base_url=f"{base_url}/v1", api_key="unused", max_retries=0) as sdk:
        yield sdk


def ask(sdk: OpenAI, model: str = MODEL_ID) -> str | None:
    completion = sdk.chat.completions.create(
        model=model, messages=[{"role": "user", "content": "Hi"}]
    )
    return completion.choices[0].message.content


def test_the_sdk_holds_a_conversation(sdk: OpenAI, backend: FakeBackend) -> None:
    first = sdk.chat.completions.create(
        model=MODEL_ID, messages=[{"role": "user", "content": "Hi"}]
    )
    message = first.choices[0].message
    assert message.content == "Hello world!"
    sdk.chat.completions.create(
        model=MODEL_ID,
        messages=[
            {"role": "user", "content": "Hi"},
            message,  # type: ignore[list-item]  # as people do: it is sent back with all fields
            {"role": "user", "content": "Again"},
        ],
    )
    assert len(backend.requests[1].prompt.messages) == 3  # type: ignore[union-attr]


def test_the_sdk_sends_what_other_servers_know(sdk: OpenAI, backend: FakeBackend) -> None:
    answer = sdk.chat.completions.with_raw_response.create(
        model=MODEL_ID,
        messages=[{"role": "user", "content": "Hi"}],
        max_tokens=-1,
        store=True,
        verbosity="low",
        reasoning_effort="none",
        extra_body={
            "keep_alive": "5m",
            "cache_prompt": True,
            "id_slot": -1,
            "think": False,
            "reasoning_budget": 64,
            "dry_multiplier": 0.8,
            "options": {"top_k": 3, "num_ctx": 4096},
        },
    )
    assert answer.parse().choices[0].message.content == "Hello world!"
    ignored = set(answer.headers["x-ignored-parameters"].split(", "))
    assert ignored == {"keep_alive", "store", "num_ctx"}
    (asked,) = backend.requests
    assert (asked.max_tokens, asked.reasoning_budget) == (None, 64)
    assert (asked.sampling.top_k, asked.sampling.dry_multiplier) == (3, 0.8)
    assert asked.prompt.variables == {  # type: ignore[union-attr]
        "reasoning_effort": "none",
        "enable_thinking": False,
        "verbosity": "low",
    }


def test_the_sdk_streams_with_usage(sdk: OpenAI) -> None:
    text, usage = "", None
    for chunk in sdk.chat.completions.create(
        model=ALIAS,
        messages=[{"role": "user", "content": "Hi"}],
        stream=True,
        stream_options={"include_usage": True},
    ):
        usage = chunk.usage or usage
        text += "".join(choice.delta.content or "" for choice in chunk.choices)
    assert text == "Hello world!"
    assert usage is not None
    assert usage.completion_tokens == 3


def test_the_sdks_stream_helper_folds_to_the_whole_answer(sdk: OpenAI) -> None:
    with sdk.chat.completions.stream(
        model=MODEL_ID, messages=[{"role": "user", "content": "Hi"}], n=2
    ) as stream:
        stream.until_done()
        final = stream.get_final_completion()
    assert [choice.message.content for choice in final.choices] == ["Hello world!"] * 2


async def test_the_async_sdk_streams(base_url: str) -> None:
    async with AsyncOpenAI(base_url=f"{base_url}/v1", api_key="unused") as sdk:
        stream = await sdk.chat.completions.create(
            model=MODEL_ID, messages=[{"role": "user", "content": "Hi"}], stream=True
        )
        parts = [chunk.choices[0].delta.content async for chunk in stream]
        whole = await sdk.completions.create(model=MODEL_ID, prompt="Once", echo=True)
    assert "".join(part or "" for part in parts) == "Hello world!"
    assert whole.choices[0].text == "OnceHello world!"


def test_the_sdk_lists_and_retrieves_models(sdk: OpenAI) -> None:
    assert [model.id for model in sdk.models.list()] == [MODEL_ID, EMBEDDING_ID]
    assert sdk.models.retrieve(ALIAS).id == MODEL_ID
    with pytest.raises(openai.NotFoundError):
        sdk.models.retrieve("no/such model")


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (ContextLengthExceededError("Long.", param="messages"), openai.BadRequestError),
        (OverloadedError("Full.", retry_after_seconds=1), openai.RateLimitError),
        (UnavailableError("Loading."), openai.InternalServerError),
        (GenerationError("Broken."), openai.InternalServerError),
    ],
)
def test_the_sdk_raises_its_own_class(
    sdk: OpenAI, backend: FakeBackend, error: LLMAPIError, expected: type[openai.APIStatusError]
) -> None:
    backend.script = lambda _: [error]
    with pytest.raises(expected) as raised:
        ask(sdk)
    assert (raised.value.code, raised.value.param) == (error.code, error.param)
    assert raised.value.request_id is not None


def test_the_sdk_raises_not_found_for_an_unknown_model(sdk: OpenAI) -> None:
    with pytest.raises(openai.NotFoundError) as raised:
        ask(sdk, "gpt-4")
    assert raised.value.code == "model_not_found"


def test_the_sdk_raises_on_a_stream_that_was_cut(sdk: OpenAI, backend: FakeBackend) -> None:
    backend.script = lambda _: [*spoken("Hel")[:-1], GenerationError("Broken.")]
    stream = sdk.chat.completions.create(
        model=MODEL_ID, messages=[{"role": "user", "content": "Hi"}], stream=True
    )
    with pytest.raises(openai.APIError) as raised:
        list(stream)
    assert raised.value.code == "generation_failed"


def test_the_sdk_does_not_repeat_a_deterministic_failure(
    base_url: str, backend: FakeBackend
) -> None:
    backend.script = lambda _: [ValueError("a bug")]
    with (
        OpenAI(base_url=f"{base_url}/v1", api_key="unused", max_retries=2) as sdk,
        pytest.raises(openai.InternalServerError),
    ):
        ask(sdk)
    assert len(backend.requests) == 1


def test_the_sdk_comes_back_after_the_time_it_was_told(base_url: str, backend: FakeBackend) -> None:
    full = OverloadedError("Full.", retry_after_seconds=0.05)
    backend.script = lambda _: [full] if len(backend.requests) == 1 else spoken("Now")
    with OpenAI(base_url=f"{base_url}/v1", api_key="unused", max_retries=1) as sdk:
        assert ask(sdk) == "Now"
