"""The plain resources, wire to domain: tables."""

from dataclasses import replace

import pytest

from llm_api.api.mapping.plain import to_generate_request, to_plain_chat_request
from llm_api.api.models.plain import GenerateRequest, PlainChatRequest
from llm_api.core.errors import InvalidRequestError
from llm_api.core.llm.backend import GenerationDefaults, ModelCard
from llm_api.core.llm.capabilities import Capabilities
from llm_api.core.llm.types import ChatPrompt, GenerationRequest, Message, Sampling, TextPrompt

DEFAULTS = GenerationDefaults(max_tokens=99, temperature=0.25)
CARD = ModelCard("m", 0, "us", 2048, defaults=DEFAULTS)
CONVERSING = replace(CARD, capabilities=Capabilities(frozenset(), frozenset()))


def generate(**given: object) -> GenerationRequest:
    return to_generate_request(GenerateRequest.model_validate(given), CARD, token_limit=64)


def test_prompt_is_continued_by_the_defaults() -> None:
    sampling = Sampling(temperature=0.25)
    assert generate(prompt="Hi") == GenerationRequest(TextPrompt("Hi"), 50, sampling)


def test_parameters_are_taken() -> None:
    given = {"temperature": 0.0, "top_p": 0.5, "top_k": -1, "seed": 3, "stop": ["a", "a"]}
    request = generate(prompt="Hi", **given)
    assert request.sampling == Sampling(temperature=0.0, top_p=0.5, top_k=0, seed=3)
    assert request.stop == ("a",)


@pytest.mark.parametrize(
    ("given", "limit", "max_tokens"),
    [
        ({}, 64, 50),
        ({}, 10, 10),
        ({"max_new_tokens": 64}, 64, 64),
        ({"max_tokens": 5}, 64, 5),
        ({"max_length": 6}, 64, 6),
        ({"max_new_tokens": 7, "max_tokens": 7, "max_length": 7}, 64, 7),
    ],
)
def test_length_has_three_names(given: dict[str, object], limit: int, max_tokens: int) -> None:
    body = GenerateRequest.model_validate({"prompt": "Hi", **given})
    assert to_generate_request(body, CARD, limit).max_tokens == max_tokens


@pytest.mark.parametrize(
    ("given", "param"),
    [
        ({"max_new_tokens": 65}, "max_new_tokens"),
        ({"max_tokens": 65}, "max_tokens"),
        ({"max_length": 65}, "max_length"),
        ({"max_new_tokens": 1, "max_tokens": 2}, "max_tokens"),
        ({"max_tokens": 1, "max_length": 2}, "max_length"),
    ],
)
def test_length_at_fault_is_named(given: dict[str, object], param: str) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        generate(prompt="Hi", **given)
    assert caught.value.param == param


def test_model_that_only_converses_gets_a_turn() -> None:
    request = to_generate_request(GenerateRequest(prompt="Hi"), CONVERSING, 64)
    assert request.prompt == ChatPrompt((Message("user", "Hi"),))


@pytest.mark.parametrize(
    ("given", "max_tokens", "temperature"),
    [({}, 99, 0.25), ({"max_tokens": 3, "temperature": 0.0}, 3, 0.0)],
)
def test_question_is_the_only_turn(
    given: dict[str, object], max_tokens: int, temperature: float
) -> None:
    body = PlainChatRequest.model_validate({"prompt": "Hi", **given})
    assert to_plain_chat_request(body, DEFAULTS) == GenerationRequest(
        ChatPrompt((Message("user", "Hi"),)), max_tokens, Sampling(temperature=temperature)
    )
