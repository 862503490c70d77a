"""The echo behind the Backend protocol."""

import asyncio
from contextlib import aclosing
from dataclasses import replace

import pytest

from llm_api.core.errors import UnsupportedParameterError
from llm_api.core.llm.backends.stub import open_stub
from llm_api.core.llm.backends.words import WordBackend
from llm_api.core.llm.choices import fan_out
from llm_api.core.llm.collect import Completion, collect
from llm_api.core.llm.types import (
    ChatPrompt,
    Finished,
    GenerationRequest,
    JSONFormat,
    Message,
    Prompt,
    Sampling,
    Started,
    TextDelta,
    TextPrompt,
    TokenPrompt,
    ToolSpec,
    Usage,
)
from tests.fakes import CARD

TURN = Message("user", "Where is the library?")
QUESTION = GenerationRequest(ChatPrompt((Message("system", "Be kind."), TURN)), max_tokens=64)


@pytest.fixture
async def stub() -> WordBackend:
    return await open_stub(CARD)


async def complete(stub: WordBackend, request: GenerationRequest) -> Completion:
    [completion] = await collect(fan_out(stub, [request]), 1)
    return completion


async def test_last_turn_comes_back_word_by_word(stub: WordBackend) -> None:
    events = [event async for event in stub.generate(QUESTION)]
    words = ["Where", " is", " the", " library", "?"]
    assert events == [Started(8), *map(TextDelta, words), Finished("stop", Usage(8, 5))]


async def test_raw_text_comes_back(stub: WordBackend) -> None:
    answer = await complete(stub, replace(QUESTION, prompt=TextPrompt("  Once\nupon a time ")))
    assert answer.text == "  Once\nupon a time "


@pytest.mark.parametrize(
    ("max_tokens", "text", "reason"),
    [
        (0, "", "length"),
        (2, "Where is", "length"),
        (4, "Where is the library", "length"),
        (5, "Where is the library?", "stop"),
    ],
)
async def test_answer_ends_after_max_tokens(
    stub: WordBackend, max_tokens: int, text: str, reason: str
) -> None:
    answer = await complete(stub, replace(QUESTION, max_tokens=max_tokens))
    assert (answer.text, answer.finished.reason) == (text, reason)
    assert answer.finished.usage.completion_tokens == max_tokens


async def test_stop_string_across_words_ends_the_answer(stub: WordBackend) -> None:
    answer = await complete(stub, replace(QUESTION, stop=("s the lib",)))
    assert (answer.text, answer.finished.reason) == ("Where i", "stop")
    assert answer.finished.usage.completion_tokens == 4


async def test_what_looked_like_a_stop_string_is_said_at_the_end(stub: WordBackend) -> None:
    answer = await complete(stub, replace(QUESTION, stop=("library? No",)))
    assert answer.text == TURN.content


async def test_sampling_that_cannot_change_an_echo_is_welcome(stub: WordBackend) -> None:
    sampling = Sampling(temperature=1.7, top_p=0.5, top_k=3, min_p=0.1, seed=7)
    answer = await complete(stub, replace(QUESTION, sampling=sampling))
    assert answer.text == TURN.content


@pytest.mark.parametrize(
    ("change", "param"),
    [
        ({"prompt": TokenPrompt((1, 2))}, "prompt"),
        ({"prompt": ChatPrompt((TURN,), tools=(ToolSpec("f"),))}, "tools"),
        ({"output_format": JSONFormat({})}, "response_format"),
        ({"top_logprobs": 0}, "logprobs"),
        ({"ignore_eos": True}, "ignore_eos"),
        ({"sampling": Sampling(logit_bias=((1, 2.0),))}, "logit_bias"),
        ({"sampling": Sampling(repeat_penalty=1.1)}, "repeat_penalty"),
    ],
)
async def test_what_an_echo_cannot_do_is_refused_by_name(
    stub: WordBackend, change: dict[str, Prompt], param: str
) -> None:
    with pytest.raises(UnsupportedParameterError) as refusal:
        await complete(stub, replace(QUESTION, **change))  # type: ignore[arg-type]  # by name
    assert refusal.value.param == param


async def test_card_says_that_it_is_a_stub(stub: WordBackend) -> None:
    assert (stub.card.id, stub.card.backend, stub.card.context_length) == (CARD.id, "stub", None)


async def test_long_echo_leaves_the_loop_to_others(stub: WordBackend) -> None:
    turns = 0

    async def other() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    task = asyncio.create_task(other())
    prompt = TextPrompt("word " * 1_000)
    await complete(stub, GenerationRequest(prompt, max_tokens=1_000))
    task.cancel()
    assert turns >= 50


async def test_closed_echo_says_no_more(stub: WordBackend) -> None:
    async with aclosing(stub.generate(QUESTION)) as events:
        assert await anext(events) == Started(8)
        assert await anext(events) == TextDelta("Where")
    assert [event async for event in events] == []
