"""The toy: it knows what follows two words, and nothing else."""

import math
from dataclasses import replace

import numpy as np
import pytest

from llm_api.core.errors import UnsupportedParameterError
from llm_api.core.llm.backends.markov import MarkovBackend, MarkovChain, open_markov
from llm_api.core.llm.choices import fan_out
from llm_api.core.llm.collect import Completion, collect
from llm_api.core.llm.types import (
    ChatPrompt,
    Finished,
    GenerationRequest,
    Message,
    Prompt,
    Sampling,
    Started,
    TextDelta,
    TextPrompt,
    TokenPrompt,
    ToolSpec,
)
from tests.fakes import CARD

TALES = ["The cat sat. The cat ran.", "A dog sat down."]


def chat(text: str) -> ChatPrompt:
    return ChatPrompt((Message("user", text),))


def ask(prompt: Prompt, max_tokens: int = 200, **sampling: float | None) -> GenerationRequest:
    return GenerationRequest(prompt, max_tokens, Sampling(**sampling))  # type: ignore[arg-type]


@pytest.fixture
async def markov() -> MarkovBackend:
    return await open_markov(CARD)


async def complete(backend: MarkovBackend, request: GenerationRequest) -> Completion:
    [completion] = await collect(fan_out(backend, [request]), 1)
    return completion


def following(chain: MarkovChain, *words: str) -> dict[str, int]:
    """How often each word came next."""
    logits = chain.logits(words)
    return {chain.words[at]: round(math.exp(logits[at])) for at in np.flatnonzero(logits > -np.inf)}


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ((), {"The": 1, "A": 1}),
        (("the", " cat"), {" sat": 1, " ran": 1}),
        (("THE",), {" cat": 2}),
        ((" dog", " sat"), {" down": 1}),
        (("nobody", " sat"), {".": 1, " down": 1}),
        ((" down", "."), {"": 1}),
        ((".",), {" The": 1, "": 2}),
    ],
)
def test_chain_counts_what_follows(words: tuple[str, ...], expected: dict[str, int]) -> None:
    assert following(MarkovChain(TALES), *words) == expected


@pytest.mark.parametrize(
    ("words", "known"),
    [
        ([], []),
        (["xyz"], []),
        (["the", " cat"], ["the", " cat"]),
        (["where", " is", " the", " cat", "?"], [" the", " cat"]),
        (["cat", " xyz"], ["cat"]),
    ],
)
def test_chain_goes_on_from_the_last_words_it_knows(words: list[str], known: list[str]) -> None:
    assert MarkovChain(TALES).known_end(words) == known


async def test_answer_is_a_walk_along_the_chain() -> None:
    backend = MarkovBackend(CARD, MarkovChain(TALES))
    answers = {
        (await complete(backend, ask(TextPrompt("The"), 6, seed=seed))).text for seed in range(40)
    }
    assert answers == {" cat ran.", " cat sat. The cat ran", " cat sat. The cat sat"}


async def test_answer_never_begins_with_an_end() -> None:
    backend = MarkovBackend(CARD, MarkovChain(TALES))
    for seed in range(20):
        answer = await complete(backend, ask(chat("Sit down."), seed=seed))
        assert answer.text.startswith(("The", "A dog"))


async def test_greedy_answer_goes_on_with_the_prompt(markov: MarkovBackend) -> None:
    answer = await complete(markov, ask(TextPrompt("He dreamed of"), 6, temperature=0))
    assert (answer.text, answer.finished.reason) == (" the fish in the river.", "stop")


async def test_tale_comes_to_its_end(markov: MarkovBackend) -> None:
    answer = await complete(markov, ask(chat("Tell me of the fox"), 2000, seed=3))
    assert answer.finished.reason == "stop"
    assert answer.text[0].isalpha()
    assert answer.text[-1] in '."'
    assert answer.finished.usage.prompt_tokens == 5


async def test_answer_is_streamed_word_by_word(markov: MarkovBackend) -> None:
    request = ask(chat("Once"), 12, seed=1)
    started, *deltas, finished = [event async for event in markov.generate(request)]
    assert started == Started(1)
    assert len(deltas) == 12
    assert all(isinstance(delta, TextDelta) for delta in deltas)
    assert isinstance(finished, Finished)
    assert finished.usage.completion_tokens == 12


async def test_seed_repeats_the_tale(markov: MarkovBackend) -> None:
    texts = [
        (await complete(markov, ask(chat("Once"), 40, seed=seed))).text for seed in (1, 2, 1, 2)
    ]
    assert texts[:2] == texts[2:]
    assert texts[0] != texts[1]


@pytest.mark.parametrize("narrow", [{"top_k": 1}, {"top_p": 0.0}, {"temperature": 0}])
async def test_filters_narrow_the_tales(markov: MarkovBackend, narrow: dict[str, float]) -> None:
    async def tales(**sampling: float) -> set[str]:
        requests = [ask(chat("Once"), 30, seed=seed, **sampling) for seed in range(8)]
        return {(await complete(markov, request)).text for request in requests}

    assert len(await tales(**narrow)) == 1
    assert len(await tales()) > 4


async def test_stop_string_ends_the_tale(markov: MarkovBackend) -> None:
    request = replace(ask(TextPrompt("He dreamed of"), 6, temperature=0), stop=("h in",))
    answer = await complete(markov, request)
    assert (answer.text, answer.finished.reason) == (" the fis", "stop")


@pytest.mark.parametrize(
    ("request_", "param"),
    [
        (ask(TokenPrompt((1,))), "prompt"),
        (ask(ChatPrompt((), tools=(ToolSpec("f"),))), "tools"),
        (replace(ask(chat("a")), top_logprobs=1), "logprobs"),
        (GenerationRequest(chat("a"), 5, Sampling(mirostat=2)), "mirostat"),
        (GenerationRequest(chat("a"), 5, Sampling(logit_bias=((1, 1.0),))), "logit_bias"),
    ],
)
async def test_what_a_toy_cannot_do_is_refused_by_name(
    markov: MarkovBackend, request_: GenerationRequest, param: str
) -> None:
    with pytest.raises(UnsupportedParameterError) as refusal:
        await complete(markov, request_)
    assert refusal.value.param == param


async def test_card_says_that_it_is_a_toy(markov: MarkovBackend) -> None:
    assert (markov.card.id, markov.card.backend) == (CARD.id, "markov")


async def test_penalties_break_the_circle() -> None:
    backend = MarkovBackend(CARD, MarkovChain(["on and on and on and off"]))
    circle = await complete(backend, ask(TextPrompt("on"), 12, temperature=0))
    assert circle.text == " and on and on and on and on and on and on"
    ended = await complete(backend, ask(TextPrompt("on"), 12, temperature=0, presence_penalty=2.0))
    assert ended.text == " and on and off"
