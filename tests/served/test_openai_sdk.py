"""The official SDK holds a conversation with the real model."""

import asyncio
from collections.abc import Iterable
from typing import TypeVar

import openai
import pytest
from openai import AsyncOpenAI, OpenAI
from openai.types import Completion, Model
from openai.types.chat import ChatCompletion, ChatCompletionChunk, ChatCompletionMessageParam
from pydantic import BaseModel

from tests.served.conftest import ALIAS, MODEL

Wire = TypeVar("Wire", bound=BaseModel)

QUESTION: list[ChatCompletionMessageParam] = [
    {"role": "user", "content": "Name three colours of the rainbow."}
]


def strictly(kind: type[Wire], received: BaseModel) -> Wire:
    """The answer, validated against the SDK's own type: no field missing, none of another type."""
    return kind.model_validate_json(received.model_dump_json(exclude_unset=True), strict=True)


def text_of(chunks: Iterable[ChatCompletionChunk]) -> str:
    return "".join(choice.delta.content or "" for chunk in chunks for choice in chunk.choices)


def test_a_conversation_goes_on_over_two_turns(sdk: OpenAI) -> None:
    first = sdk.chat.completions.create(model=MODEL, messages=QUESTION, max_tokens=24)
    content = strictly(ChatCompletion, first).choices[0].message.content
    assert content
    follow_up: list[ChatCompletionMessageParam] = [
        *QUESTION,
        {"role": "assistant", "content": content},
        {"role": "user", "content": "And three more?"},
    ]
    second = sdk.chat.completions.create(model=MODEL, messages=follow_up, max_tokens=24)
    usage = strictly(ChatCompletion, second).usage
    assert second.choices[0].message.content
    assert usage is not None
    assert usage.prompt_tokens_details is not None
    assert (usage.prompt_tokens_details.cached_tokens or 0) > 20, "the first turn is shared"


def test_a_stream_says_what_the_whole_answer_says(sdk: OpenAI) -> None:
    whole = sdk.chat.completions.create(
        model=MODEL, messages=QUESTION, max_tokens=32, temperature=0
    )
    chunks = list(
        sdk.chat.completions.create(
            model=MODEL,
            messages=QUESTION,
            max_tokens=32,
            temperature=0,
            stream=True,
            stream_options={"include_usage": True},
        )
    )
    for chunk in chunks:
        strictly(ChatCompletionChunk, chunk)
    assert text_of(chunks) == whole.choices[0].message.content
    assert len({chunk.id for chunk in chunks}) == 1
    assert [chunk.usage is not None for chunk in chunks] == [False] * (len(chunks) - 1) + [True]
    last = chunks[-1]
    assert last.choices == []
    assert last.usage is not None
    assert whole.usage is not None
    assert last.usage.completion_tokens == whole.usage.completion_tokens
    assert chunks[-2].choices[0].finish_reason == whole.choices[0].finish_reason


def test_no_usage_chunk_unless_asked_for(sdk: OpenAI) -> None:
    chunks = list(
        sdk.chat.completions.create(model=MODEL, messages=QUESTION, max_tokens=4, stream=True)
    )
    assert all(chunk.usage is None and chunk.choices for chunk in chunks)


async def test_many_async_streams_at_once_each_say_their_own(served_url: str) -> None:
    async with AsyncOpenAI(base_url=f"{served_url}/v1", api_key="unused") as sdk:

        async def ask(word: str) -> str:
            prompt = " ".join([f"{word},"] * 12)
            stream = await sdk.completions.create(
                model=MODEL, prompt=prompt, max_tokens=4, temperature=0, stream=True
            )
            return "".join([chunk.choices[0].text async for chunk in stream])

        words = ["river", "mountain", "seven", "blue", "paper", "music", "glass", "winter"]
        answers = await asyncio.gather(*map(ask, words))
    # A small model mostly repeats its own word; another stream's word can only have leaked.
    own = [word in answer for word, answer in zip(words, answers, strict=True)]
    foreign = [
        other
        for word, answer in zip(words, answers, strict=True)
        for other in words
        if other != word and other in answer
    ]
    assert sum(own) >= 4
    assert foreign == []


def test_the_same_seed_gives_the_same_text(sdk: OpenAI) -> None:
    def seeded(seed: int) -> str | None:
        answer = sdk.chat.completions.create(
            model=MODEL, messages=QUESTION, max_tokens=24, temperature=1.0, seed=seed
        )
        return answer.choices[0].message.content

    texts = [seeded(seed) for seed in (7, 7, 7, 8, -1)]
    assert texts[0] == texts[1] == texts[2]
    assert len(set(texts)) == 3


def test_choices_of_one_request_differ_and_share_their_prompt(sdk: OpenAI) -> None:
    answer = sdk.chat.completions.create(
        model=MODEL, messages=QUESTION, max_tokens=16, temperature=1.0, seed=1, n=3
    )
    strictly(ChatCompletion, answer)
    assert [choice.index for choice in answer.choices] == [0, 1, 2]
    assert len({choice.message.content for choice in answer.choices}) == 3
    assert answer.usage is not None
    alone = sdk.chat.completions.create(model=MODEL, messages=QUESTION, max_tokens=1)
    assert alone.usage is not None
    assert answer.usage.prompt_tokens == alone.usage.prompt_tokens


def test_stop_strings_end_the_answer(sdk: OpenAI) -> None:
    def ask(stop: list[str] | None) -> tuple[str, str | None]:
        choice = sdk.completions.create(
            model=MODEL, prompt="1, 2, 3, 4,", max_tokens=16, temperature=0, stop=stop
        ).choices[0]
        return choice.text, choice.finish_reason

    whole, _ = ask(None)
    assert "7" in whole
    assert ask(["7", "never"]) == (whole[: whole.index("7")], "stop")


def test_max_tokens_cuts_with_reason_length(sdk: OpenAI) -> None:
    answer = sdk.chat.completions.create(model=MODEL, messages=QUESTION, max_completion_tokens=3)
    assert answer.choices[0].finish_reason == "length"
    assert answer.usage is not None
    assert answer.usage.completion_tokens == 3


def test_log_probabilities_come_with_every_token(sdk: OpenAI) -> None:
    answer = sdk.chat.completions.create(
        model=MODEL, messages=QUESTION, max_tokens=8, logprobs=True, top_logprobs=2
    )
    strictly(ChatCompletion, answer)
    logprobs = answer.choices[0].logprobs
    assert logprobs is not None
    assert logprobs.content is not None
    assert len(logprobs.content) == 8
    assert all(len(entry.top_logprobs) == 2 for entry in logprobs.content)
    text = b"".join(bytes(entry.bytes or []) for entry in logprobs.content).decode()
    assert text == answer.choices[0].message.content


def test_a_banned_token_does_not_come(sdk: OpenAI) -> None:
    def first(bias: dict[str, int]) -> str:
        completion = sdk.completions.create(
            model=MODEL, prompt="2 + 2 =", max_tokens=2, temperature=0, logit_bias=bias
        )
        return completion.choices[0].text

    four = first({})
    ids = [str(token) for token in range(30, 60)]  # digits and signs of this vocabulary
    assert first(dict.fromkeys(ids, -100)) != four


def test_legacy_completions_echo_and_take_several_prompts(sdk: OpenAI) -> None:
    answer = sdk.completions.create(
        model=MODEL, prompt=["One two", "Red green"], n=2, max_tokens=4, echo=True
    )
    strictly(Completion, answer)
    assert [choice.index for choice in answer.choices] == [0, 1, 2, 3]
    starts = [choice.text[:7] for choice in answer.choices]
    assert starts == ["One two", "One two", "Red gre", "Red gre"]


def test_legacy_log_probabilities_have_the_official_shape(sdk: OpenAI) -> None:
    answer = sdk.completions.create(model=MODEL, prompt="One two", max_tokens=4, logprobs=3)
    strictly(Completion, answer)
    logprobs = answer.choices[0].logprobs
    assert logprobs is not None
    assert len(logprobs.tokens or []) == 4


def test_models_are_listed_and_found_by_alias(sdk: OpenAI) -> None:
    listed = [strictly(Model, model) for model in sdk.models.list()]
    assert [model.id for model in listed] == [MODEL, "all-MiniLM-L6-v2"]
    assert sdk.models.retrieve(ALIAS).id == MODEL
    answer = sdk.chat.completions.create(model=ALIAS, messages=QUESTION, max_tokens=1)
    assert answer.model == MODEL


def test_the_names_that_people_bring_are_answered_with_the_id(sdk: OpenAI) -> None:
    for name in ("smollm2-135m-instruct", f"{MODEL}.gguf"):
        answer = sdk.chat.completions.create(model=name, messages=QUESTION, max_tokens=1)
        assert answer.model == sdk.models.retrieve(name).id == MODEL
    assert sdk.models.retrieve("all-minilm-l6-v2").id == "all-MiniLM-L6-v2"


def test_an_unknown_model_is_not_served_by_another(sdk: OpenAI) -> None:
    with pytest.raises(openai.NotFoundError, match=MODEL) as raised:
        sdk.chat.completions.create(model="gpt-4o", messages=QUESTION)
    assert raised.value.code == "model_not_found"


def test_a_prompt_that_does_not_fit_is_a_bad_request(sdk: OpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as raised:
        sdk.chat.completions.create(
            model=MODEL, messages=[{"role": "user", "content": "word " * 3000}]
        )
    assert raised.value.code == "context_length_exceeded"
