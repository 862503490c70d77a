"""Sampling by llama-server's names, the same at every door that generates."""

from collections.abc import Callable

import pytest

from llm_api.api.mapping.chat import to_chat_requests
from llm_api.api.mapping.completions import to_completion_requests
from llm_api.api.mapping.generation import to_adapters, to_sampling
from llm_api.api.mapping.plain import to_generate_request, to_plain_chat_request
from llm_api.api.models.chat import ChatCompletionRequest
from llm_api.api.models.completions import CompletionRequest
from llm_api.api.models.generation import LoraAdapter, SamplingParameters
from llm_api.api.models.plain import GenerateRequest, PlainChatRequest
from llm_api.api.models.responses.parameters import CreateResponse
from llm_api.core.errors import InvalidRequestError, UnsupportedParameterError
from llm_api.core.llm.backend import GenerationDefaults
from llm_api.core.llm.types import Adapter, GenerationRequest, Sampling
from tests.fakes import CARD

DEFAULTS = GenerationDefaults(max_tokens=9, temperature=0.5)
GIVEN: dict[str, object] = {
    "temperature": 1.5,
    "top_p": 0.9,
    "top_k": 40,
    "min_p": 0.05,
    "typical_p": 0.8,
    "repeat_penalty": 1.1,
    "repeat_last_n": -1,
    "presence_penalty": 0.2,
    "frequency_penalty": 0.3,
    "seed": 7,
    "mirostat": 2,
    "mirostat_tau": 4.0,
    "mirostat_eta": 0.2,
    "dry_multiplier": 0.8,
    "dry_base": 1.5,
    "dry_allowed_length": 3,
    "dry_penalty_last_n": 128,
    "dry_sequence_breakers": ["\n", "#"],
    "xtc_probability": 0.5,
    "xtc_threshold": 0.2,
    "dynatemp_range": 0.4,
    "dynatemp_exponent": 2.0,
}
SAMPLING = Sampling(
    temperature=1.5,
    top_p=0.9,
    top_k=40,
    min_p=0.05,
    typical_p=0.8,
    repeat_penalty=1.1,
    repeat_last_n=-1,
    presence_penalty=0.2,
    frequency_penalty=0.3,
    logit_bias=((42, -5.0),),
    seed=7,
    mirostat=2,
    mirostat_tau=4.0,
    mirostat_eta=0.2,
    dry_multiplier=0.8,
    dry_base=1.5,
    dry_allowed_length=3,
    dry_penalty_last_n=128,
    dry_sequence_breakers=("\n", "#"),
    xtc_probability=0.5,
    xtc_threshold=0.2,
    dynatemp_range=0.4,
    dynatemp_exponent=2.0,
)
BIAS = {"logit_bias": {"42": -5.0}}
HELLO = [{"role": "user", "content": "Hi"}]


def of_chat(given: dict[str, object]) -> GenerationRequest:
    body = ChatCompletionRequest.model_validate({"model": "m", "messages": HELLO, **given})
    return to_chat_requests(body, DEFAULTS)[0]


def of_completion(given: dict[str, object]) -> GenerationRequest:
    body = CompletionRequest.model_validate({"model": "m", "prompt": "Hi", **given})
    return to_completion_requests(body, DEFAULTS)[0]


def of_generate(given: dict[str, object]) -> GenerationRequest:
    return to_generate_request(GenerateRequest.model_validate({"prompt": "Hi", **given}), CARD, 99)


def of_plain_chat(given: dict[str, object]) -> GenerationRequest:
    return to_plain_chat_request(
        PlainChatRequest.model_validate({"prompt": "Hi", **given}), DEFAULTS
    )


@pytest.mark.parametrize("door", [of_chat, of_completion, of_generate, of_plain_chat])
def test_every_door_takes_all_of_it(
    door: Callable[[dict[str, object]], GenerationRequest],
) -> None:
    asked = door({**GIVEN, **BIAS, "ignore_eos": True})
    assert asked.sampling == SAMPLING
    assert asked.ignore_eos


def test_responses_take_all_of_it() -> None:
    body = CreateResponse.model_validate({"model": "m", "input": "Hi", **GIVEN, **BIAS})
    assert to_sampling(body, DEFAULTS, 0) == SAMPLING


OPTIONS: dict[str, object] = {**GIVEN, "num_predict": 5, "stop": ["a"], "repeat_last_n": -1}


@pytest.mark.parametrize("door", [of_chat, of_completion])
def test_options_of_ollama_are_honoured_as_if_they_stood_outside(
    door: Callable[[dict[str, object]], GenerationRequest],
) -> None:
    asked = door({"options": OPTIONS, **BIAS})
    assert asked.sampling == SAMPLING
    assert (asked.max_tokens, asked.stop) == (5, ("a",))
    assert door({"options": {"num_predict": -2}}).max_tokens is None
    assert door({"options": {"seed": -1}}).sampling.seed is None


def sampling(**given: object) -> Sampling:
    return to_sampling(SamplingParameters.model_validate(given), DEFAULTS, 0)


@pytest.mark.parametrize(
    ("stages", "left"),
    [
        (["top_k", "temperature"], Sampling(1.5, top_k=40, dynatemp_range=0.4)),
        (["dry", "top_p"], Sampling(top_p=0.9, dry_multiplier=0.8)),
        (["typ_p", "min_p", "xtc"], Sampling(min_p=0.05, typical_p=0.8, xtc_probability=0.5)),
        (["penalties", "top_n_sigma"], Sampling(repeat_penalty=1.1)),
        ([], Sampling()),
    ],
)
def test_stages_that_are_left_out_are_off(stages: list[str], left: Sampling) -> None:
    given = {
        "temperature": 1.5, "top_k": 40, "top_p": 0.9, "min_p": 0.05, "typical_p": 0.8,
        "repeat_penalty": 1.1, "dry_multiplier": 0.8, "xtc_probability": 0.5,
        "dynatemp_range": 0.4,
    }  # fmt: skip
    assert sampling(**given, samplers=stages) == left


@pytest.mark.parametrize("stages", [["temperature", "top_k"], ["top_k", "top_k"]])
def test_another_order_of_stages_is_refused(stages: list[str]) -> None:
    with pytest.raises(UnsupportedParameterError, match="penalties, dry, top_n_sigma") as caught:
        sampling(samplers=stages)
    assert caught.value.param == "samplers"


def test_adapters_count_as_they_are_scaled() -> None:
    given = [LoraAdapter(id="tone"), LoraAdapter(id="law", scale=0.5), LoraAdapter(id="x", scale=0)]
    assert to_adapters(given) == (Adapter("tone"), Adapter("law", 0.5))
    assert to_adapters(None) == ()


def test_an_adapter_is_named_once() -> None:
    with pytest.raises(InvalidRequestError, match="'tone' twice"):
        to_adapters([LoraAdapter(id="tone"), LoraAdapter(id="tone", scale=2)])
