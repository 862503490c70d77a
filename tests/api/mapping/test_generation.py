"""What all resources that generate share: tables from the wire to the domain and back."""

import pytest

from llm_api.api.mapping.generation import (
    check_stream_options,
    fingerprint,
    given_or,
    refuse,
    required,
    same_meaning,
    to_guided_format,
    to_sampling,
    to_stop,
    token_text,
    wire_logprob,
    wire_usage,
)
from llm_api.api.models.generation import AnswerParameters, Stop
from llm_api.core.errors import (
    InvalidRequestError,
    MissingParameterError,
    UnsupportedParameterError,
)
from llm_api.core.llm.backend import GenerationDefaults
from llm_api.core.llm.types import (
    ChoiceFormat,
    GrammarFormat,
    OutputFormat,
    RegexFormat,
    Sampling,
    Usage,
)

DEFAULTS = GenerationDefaults(max_tokens=99, temperature=0.25)


def parameters(**given: object) -> AnswerParameters:
    return AnswerParameters.model_validate(given)


def test_refusal_names_its_parameter() -> None:
    with pytest.raises(UnsupportedParameterError, match=r"^The parameter 'a\.b' is odd") as caught:
        refuse("a.b", "is odd.")
    assert caught.value.param == "a.b"


def test_required_value_is_handed_on_even_if_it_is_falsy() -> None:
    assert required("", "a") == ""
    with pytest.raises(MissingParameterError) as caught:
        required(None, "messages[0].content")
    assert caught.value.param == "messages[0].content"


@pytest.mark.parametrize(
    ("value", "other", "meant"), [(None, None, None), (1, None, 1), (None, 0, 0), (2, 2, 2)]
)
def test_two_names_have_one_value(value: int | None, other: int | None, meant: int | None) -> None:
    assert same_meaning("a", value, "b", other) == meant


@pytest.mark.parametrize(("value", "other"), [(1, 2), (0, 1), (1, 0)])
def test_two_names_with_different_values_are_refused(value: int, other: int) -> None:
    with pytest.raises(InvalidRequestError, match="'a' and 'b'") as caught:
        same_meaning("a", value, "b", other)
    assert caught.value.param == "b"


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"stream": True},
        {"stream": True, "stream_options": {}},
        {"stream": True, "stream_options": {"include_usage": True, "include_obfuscation": False}},
        {"stream": True, "stream_options": {"include_obfuscation": True}},
    ],
)
def test_stream_options_of_a_stream_are_taken(given: dict[str, object]) -> None:
    check_stream_options(parameters(**given))


@pytest.mark.parametrize("given", [{"stream_options": {}}, {"stream": False, "stream_options": {}}])
def test_stream_options_without_a_stream_are_refused(given: dict[str, object]) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        check_stream_options(parameters(**given))
    assert caught.value.param == "stream_options"


@pytest.mark.parametrize(
    ("given", "stop"),
    [(None, ()), ("a", ("a",)), ([], ()), (["b", "a", "b"], ("b", "a"))],
)
def test_stop_strings_are_each_said_once(given: Stop | None, stop: tuple[str, ...]) -> None:
    assert to_stop(given) == stop


@pytest.mark.parametrize(
    ("given", "format"),
    [
        ({}, None),
        ({"guided_regex": "a+"}, RegexFormat("a+")),
        ({"guided_choice": ["yes", "no", "yes"]}, ChoiceFormat(("yes", "no"))),
        ({"grammar": 'root ::= "a"'}, GrammarFormat('root ::= "a"')),
    ],
)
def test_guided_answer_has_its_format(
    given: dict[str, object], format: OutputFormat | None
) -> None:
    assert to_guided_format(parameters(**given)) == format


@pytest.mark.parametrize(
    ("given", "param"),
    [
        ({"guided_regex": "a", "guided_choice": ["a"]}, "guided_choice"),
        ({"guided_choice": ["a"], "grammar": "start: /a/"}, "grammar"),
    ],
)
def test_two_guides_are_refused(given: dict[str, object], param: str) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        to_guided_format(parameters(**given))
    assert caught.value.param == param


@pytest.mark.parametrize(
    ("given", "choice", "sampling"),
    [
        ({}, 0, Sampling(temperature=0.25)),
        ({"temperature": 0.0, "top_p": 0.0}, 0, Sampling(temperature=0.0, top_p=0.0)),
        ({"seed": 7}, 2, Sampling(temperature=0.25, seed=9)),
        ({"seed": -1}, 0, Sampling(temperature=0.25, seed=-1)),
        ({"top_k": -1}, 0, Sampling(temperature=0.25, top_k=0)),
        ({"top_k": 5}, 0, Sampling(temperature=0.25, top_k=5)),
        ({"repetition_penalty": 1.5}, 0, Sampling(temperature=0.25, repeat_penalty=1.5)),
        (
            {"logit_bias": {"42": -100.0, "7": 1.0}},
            0,
            Sampling(temperature=0.25, logit_bias=((42, -100.0), (7, 1.0))),
        ),
        (
            {
                "min_p": 0.1,
                "typical_p": 0.5,
                "presence_penalty": -1.0,
                "frequency_penalty": 1.0,
                "mirostat": 2,
                "mirostat_tau": 3.0,
                "mirostat_eta": 0.2,
            },
            0,
            Sampling(
                temperature=0.25,
                min_p=0.1,
                typical_p=0.5,
                presence_penalty=-1.0,
                frequency_penalty=1.0,
                mirostat=2,
                mirostat_tau=3.0,
                mirostat_eta=0.2,
            ),
        ),
    ],
)
def test_sampling_is_what_is_said_and_else_off(
    given: dict[str, object], choice: int, sampling: Sampling
) -> None:
    assert to_sampling(parameters(**given), DEFAULTS, choice) == sampling


def test_repeat_penalty_by_two_names_is_one() -> None:
    with pytest.raises(InvalidRequestError) as caught:
        to_sampling(parameters(repeat_penalty=1.5, repetition_penalty=1.4), DEFAULTS, 0)
    assert caught.value.param == "repetition_penalty"


@pytest.mark.parametrize(("value", "meant"), [(None, 5), (0, 0), (1, 1)])
def test_absent_value_is_the_default(value: int | None, meant: int) -> None:
    assert given_or(value, 5) == meant


def test_fingerprint_tells_versions_and_models_apart() -> None:
    names = {fingerprint("1", "a"), fingerprint("2", "a"), fingerprint("1", "b")}
    assert len(names) == 3
    assert fingerprint("1", "a") in names
    assert all(name.startswith("fp_") for name in names)


def test_usage_has_the_official_shape() -> None:
    usage = wire_usage(Usage(5, 3, cached_tokens=2, reasoning_tokens=1))
    assert usage.model_dump() == {
        "prompt_tokens": 5,
        "completion_tokens": 3,
        "total_tokens": 8,
        "prompt_tokens_details": {"cached_tokens": 2, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": 1,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }


@pytest.mark.parametrize(
    ("logprob", "wire"), [(-0.5, -0.5), (0.0, 0.0), (float("-inf"), -9999.0), (-1e9, -9999.0)]
)
def test_logprob_is_a_number_in_json(logprob: float, wire: float) -> None:
    assert wire_logprob(logprob) == wire


@pytest.mark.parametrize(
    ("data", "text"),
    [(b"", ""), (b" Hi", " Hi"), ("é".encode(), "é"), (b"\xc3", r"\xc3"), (b"a\xff", r"a\xff")],
)
def test_half_characters_are_spelled(data: bytes, text: str) -> None:
    assert token_text(data) == text
