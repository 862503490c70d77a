"""Legacy completions, wire to domain and back: tables."""

import json

import pytest

from llm_api.api.mapping.completions import (
    CompletionAnswerWriter,
    TextOffsets,
    to_completion_requests,
    to_prompts,
)
from llm_api.api.models.base import AnswerModel
from llm_api.api.models.completions import CompletionRequest, LegacyPrompt
from llm_api.core.errors import InvalidRequestError, UnsupportedParameterError
from llm_api.core.llm.backend import GenerationDefaults
from llm_api.core.llm.collect import Completion
from llm_api.core.llm.types import (
    FillInPrompt,
    FinishReason,
    GenerationRequest,
    Prompt,
    ReasoningDelta,
    TextDelta,
    TextPrompt,
    TokenPrompt,
    Usage,
)
from tests.api.mapping.values import HEAD, ended
from tests.fakes import sampled

DEFAULTS = GenerationDefaults(max_tokens=99, temperature=0.25)


def asked(**given: object) -> CompletionRequest:
    return CompletionRequest.model_validate({"model": "m", "prompt": "Hi", **given})


def mapped(**given: object) -> list[GenerationRequest]:
    return to_completion_requests(asked(**given), DEFAULTS)


def writer(**given: object) -> CompletionAnswerWriter:
    return CompletionAnswerWriter(HEAD, asked(**given))


def sent(model: AnswerModel | None) -> dict[str, object]:
    assert model is not None
    answered: dict[str, object] = json.loads(model.to_json())
    return answered


@pytest.mark.parametrize(
    ("prompt", "prompts"),
    [
        ("a", [TextPrompt("a")]),
        (["a", ""], [TextPrompt("a"), TextPrompt("")]),
        ([1, 2], [TokenPrompt((1, 2))]),
        ([[1], [2, 3]], [TokenPrompt((1,)), TokenPrompt((2, 3))]),
    ],
)
def test_prompt_has_four_forms(
    prompt: LegacyPrompt, prompts: list[TextPrompt | TokenPrompt]
) -> None:
    assert to_prompts(prompt) == prompts


@pytest.mark.parametrize(
    ("suffix", "prompts"),
    [
        (None, [TextPrompt("a"), TextPrompt("b")]),
        ("", [TextPrompt("a"), TextPrompt("b")]),
        ("z", [FillInPrompt("a", "z"), FillInPrompt("b", "z")]),
    ],
)
def test_a_suffix_asks_for_the_text_between(suffix: str | None, prompts: list[Prompt]) -> None:
    assert [one.prompt for one in mapped(prompt=["a", "b"], suffix=suffix)] == prompts


def test_choices_of_a_prompt_stand_together() -> None:
    requests = mapped(prompt=["a", "b"], n=2, seed=5)
    assert [(one.prompt, one.sampling.seed) for one in requests] == [
        (TextPrompt("a"), 5),
        (TextPrompt("a"), 6),
        (TextPrompt("b"), 5),
        (TextPrompt("b"), 6),
    ]


@pytest.mark.parametrize(("given", "max_tokens"), [({}, 99), ({"max_tokens": 0}, 0)])
def test_length_is_what_is_said(given: dict[str, object], max_tokens: int) -> None:
    assert mapped(**given)[0].max_tokens == max_tokens


@pytest.mark.parametrize(("given", "top"), [({}, None), ({"logprobs": 0}, 0), ({"logprobs": 5}, 5)])
def test_logprobs_are_counted(given: dict[str, object], top: int | None) -> None:
    assert mapped(**given)[0].top_logprobs == top


@pytest.mark.parametrize(
    ("given", "kind", "param"),
    [
        ({"suffix": "x", "prompt": [1]}, UnsupportedParameterError, "suffix"),
        ({"best_of": 2}, UnsupportedParameterError, "best_of"),
        ({"echo": True, "logprobs": 0}, UnsupportedParameterError, "echo"),
        ({"echo": True, "prompt": [1]}, UnsupportedParameterError, "echo"),
        ({"prompt": ["a"] * 9, "n": 15}, InvalidRequestError, "n"),
        ({"stream_options": {}}, InvalidRequestError, "stream_options"),
        ({"guided_regex": "a", "grammar": "b"}, InvalidRequestError, "grammar"),
    ],
)
def test_parameter_at_fault_is_named(
    given: dict[str, object], kind: type[InvalidRequestError], param: str
) -> None:
    with pytest.raises(kind) as caught:
        mapped(**given)
    assert caught.value.param == param


@pytest.mark.parametrize("given", [{"best_of": 2, "n": 2}, {"prompt": ["a"] * 8, "n": 16}])
def test_parameters_at_their_bounds_are_taken(given: dict[str, object]) -> None:
    assert mapped(**given)


def test_offsets_count_characters_and_hold_halves_back() -> None:
    offsets = TextOffsets()
    first, second = "é".encode()[:1], "é".encode()[1:]
    assert [offsets.advance(data) for data in (b"ab", first, second, b"c")] == [0, 2, 2, 3]


def test_whole_answer_repeats_the_prompt_where_asked() -> None:
    completions = [Completion(" x", (), ended()), Completion(" y", (), ended("length"))]
    answer = sent(writer(prompt=["a", "b"], echo=True).whole(completions))
    assert answer["choices"] == [
        {"index": 0, "text": "a x", "logprobs": None, "finish_reason": "stop"},
        {"index": 1, "text": "b y", "logprobs": None, "finish_reason": "length"},
    ]
    assert answer["usage"]["prompt_tokens"] == 10  # type: ignore[index]
    assert (answer["id"], answer["object"], answer["model"]) == ("x-1", "text_completion", "m")


def test_prompt_of_two_choices_is_counted_once() -> None:
    completions = [Completion("x", (), ended()), Completion("y", (), ended())]
    usage = sent(writer(n=2).whole(completions))["usage"]
    assert (usage["prompt_tokens"], usage["completion_tokens"]) == (5, 6)  # type: ignore[index]


@pytest.mark.parametrize(
    ("reason", "wire"), [("stop", "stop"), ("length", "length"), ("tool_calls", "stop")]
)
def test_raw_prompt_ends_without_calls(reason: FinishReason, wire: str) -> None:
    assert sent(writer(stream=True).closing(0, ended(reason)))["choices"] == [
        {"index": 0, "text": "", "logprobs": None, "finish_reason": wire}
    ]


def test_stream_opens_with_the_prompt_where_asked() -> None:
    assert writer(stream=True).opening(0) is None
    opening = sent(writer(stream=True, echo=True, prompt=["a", "b"], n=2).opening(2))
    assert opening["choices"] == [
        {"index": 2, "text": "b", "logprobs": None, "finish_reason": None}
    ]


def test_delta_of_a_raw_prompt_is_text() -> None:
    assert sent(writer(stream=True).delta(0, TextDelta("a")))["choices"] == [
        {"index": 0, "text": "a", "logprobs": None, "finish_reason": None}
    ]
    with pytest.raises(TypeError, match="ReasoningDelta"):
        writer(stream=True).delta(0, ReasoningDelta("a"))


def test_usage_is_a_chunk_where_it_was_asked_for() -> None:
    assert writer(stream=True).usage(Usage(5, 3)) is None
    assert "usage" not in sent(writer(stream=True).closing(0, ended()))
    asking = writer(stream=True, stream_options={"include_usage": True})
    assert sent(asking.closing(0, ended()))["usage"] is None
    last = sent(asking.usage(Usage(5, 3)))
    assert last["choices"] == []
    assert last["usage"]["total_tokens"] == 8  # type: ignore[index]


def test_offsets_go_on_from_chunk_to_chunk_of_a_choice() -> None:
    asking = writer(stream=True, logprobs=2)
    offsets = []
    for index, text in ((0, "ab"), (1, "x"), (0, "c")):
        token = sampled(text.encode(), -0.5, (b"z", float("-inf")))
        [choice] = asking.delta(index, TextDelta(text, (token,))).choices
        assert choice.logprobs is not None
        assert choice.logprobs.top_logprobs == [{text: -0.5, "z": -9999.0}]
        assert choice.logprobs.tokens == [text]
        assert choice.logprobs.token_logprobs == [-0.5]
        offsets += choice.logprobs.text_offset
    assert offsets == [0, 0, 2]
