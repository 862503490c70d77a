"""Ollama's chats and prompts as generation requests."""

from typing import Any

import pytest

from llm_api.api.mapping.ollama.generation import (
    ignored_options,
    to_chat_generation,
    to_prompt_generation,
)
from llm_api.api.models.ollama.chat import OllamaChatRequest, OllamaGenerateRequest
from llm_api.core.errors import InvalidRequestError, UnsupportedParameterError
from llm_api.core.llm.types import (
    ChatPrompt,
    FillInPrompt,
    GenerationRequest,
    JSONFormat,
    Message,
    Sampling,
    TextPrompt,
    ToolCall,
)
from tests.fakes import CARD

HELLO = {"role": "user", "content": "Hi"}
CALL = {"function": {"name": "weather", "arguments": {"city": "Oslo"}}}
TOOL = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}


def chatted(**given: Any) -> GenerationRequest:
    body = {"model": "m", "messages": [HELLO], **given}
    return to_chat_generation(OllamaChatRequest.model_validate(body), CARD)


def prompted(**given: Any) -> GenerationRequest:
    body = OllamaGenerateRequest.model_validate({"model": "m", **given})
    return to_prompt_generation(body, CARD)


def turns(*messages: dict[str, Any]) -> tuple[Message, ...]:
    prompt = chatted(messages=list(messages)).prompt
    assert isinstance(prompt, ChatPrompt)
    return prompt.messages


def test_every_option_that_changes_an_answer_is_honoured() -> None:
    asked = chatted(
        options={
            "num_predict": 7, "temperature": 0.5, "top_k": 3, "top_p": 0.9, "min_p": 0.1,
            "typical_p": 0.7, "repeat_penalty": 1.2, "presence_penalty": 1.5,
            "frequency_penalty": 1, "mirostat": 1, "mirostat_tau": 0.8, "mirostat_eta": 0.6,
            "seed": 42, "stop": ["\n", "user:"],
        }
    )  # fmt: skip
    assert (asked.max_tokens, asked.stop) == (7, ("\n", "user:"))
    assert asked.sampling == Sampling(
        temperature=0.5,
        top_p=0.9,
        top_k=3,
        min_p=0.1,
        typical_p=0.7,
        repeat_penalty=1.2,
        presence_penalty=1.5,
        frequency_penalty=1.0,
        seed=42,
        mirostat=1,
        mirostat_tau=0.8,
        mirostat_eta=0.6,
    )


@pytest.mark.parametrize("number", [-1, -2, 0])
def test_without_a_number_of_tokens_an_answer_goes_to_its_end(number: int) -> None:
    assert chatted(options={"num_predict": number}).max_tokens is None


def test_options_that_are_null_or_whole_numbers_in_floats_are_read_as_ollama_does() -> None:
    asked = chatted(options={"num_predict": 5.0, "seed": -1, "top_k": None})
    assert (asked.max_tokens, asked.sampling.seed) == (5, None)


@pytest.mark.parametrize(
    ("wanted", "schema"),
    [("json", {"type": "object"}), ({"type": "array"}, {"type": "array"})],
)
def test_a_format_is_a_schema_or_any_object(wanted: object, schema: object) -> None:
    assert chatted(format=wanted).output_format == JSONFormat(schema)  # type: ignore[arg-type]


@pytest.mark.parametrize("wanted", ["", None])
def test_an_empty_format_asks_for_nothing(wanted: object) -> None:
    assert chatted(format=wanted).output_format is None


@pytest.mark.parametrize(
    ("think", "variables"),
    [
        (None, {}),
        (False, {"enable_thinking": False}),
        (True, {"enable_thinking": True}),
        ("low", {"enable_thinking": True, "reasoning_effort": "low"}),
    ],
)
def test_think_is_handed_to_the_template(think: object, variables: dict[str, object]) -> None:
    for asked in (chatted(think=think), prompted(prompt="Hi", think=think)):
        assert isinstance(asked.prompt, ChatPrompt)
        assert asked.prompt.variables == variables


def test_results_without_ids_are_matched_by_name_and_by_order() -> None:
    other = {"function": {"name": "time", "arguments": {}}}
    _, said, first, second, third = turns(
        HELLO,
        {"role": "assistant", "tool_calls": [CALL, other, CALL]},
        {"role": "tool", "content": "noon", "tool_name": "time"},
        {"role": "tool", "content": "rain"},
        {"role": "tool", "content": "snow", "tool_name": "weather"},
    )
    assert said.content == ""
    assert said.tool_calls[0] == ToolCall("call_0", "weather", '{"city":"Oslo"}')
    assert [one.tool_call_id for one in (first, second, third)] == ["call_1", "call_0", "call_2"]


def test_results_with_ids_are_those_of_their_calls() -> None:
    *_, result = turns(
        {"role": "assistant", "tool_calls": [{**CALL, "id": "a"}, {**CALL, "id": "b"}]},
        {"role": "tool", "content": "rain", "tool_call_id": "b"},
    )
    assert result == Message("tool", "rain", name="weather", tool_call_id="b")


@pytest.mark.parametrize("result", [{}, {"tool_call_id": "c"}])
def test_a_result_of_no_call_is_refused_by_its_place(result: dict[str, str]) -> None:
    with pytest.raises(InvalidRequestError, match=r"messages\[1\]"):
        turns(HELLO, {"role": "tool", "content": "rain", **result})


def test_tools_may_be_called() -> None:
    asked = chatted(tools=[TOOL])
    assert [tool.name for tool in asked.callable_tools] == ["weather"]
    assert chatted(tools=[]).tool_choice is None


@pytest.mark.parametrize(
    ("given", "param"),
    [
        ({"images": ["x"]}, "images"),
        ({"context": [1]}, "context"),
        ({"template": "{{ .Prompt }}"}, "template"),
    ],
)
def test_what_changes_the_meaning_and_cannot_be_done_is_refused_by_name(
    given: dict[str, Any], param: str
) -> None:
    with pytest.raises(UnsupportedParameterError) as raised:
        prompted(prompt="Hi", **given)
    assert raised.value.param == param


def test_images_in_a_turn_are_refused_by_their_place() -> None:
    with pytest.raises(UnsupportedParameterError, match=r"messages\[0\]\.images"):
        turns({**HELLO, "images": ["x"]})


def test_a_prompt_is_a_turn_after_its_system_or_as_it_stands() -> None:
    asked = prompted(prompt="Hi", system="Be brief.", context=[], images=[])
    assert asked.prompt == ChatPrompt((Message("system", "Be brief."), Message("user", "Hi")))
    assert prompted(prompt="Hi", raw=True).prompt == TextPrompt("Hi")
    assert prompted(prompt="def f(", suffix=")").prompt == FillInPrompt("def f(", ")")


def test_only_a_context_that_is_larger_than_the_models_is_ignored() -> None:
    for size, named in ((2048, []), (2049, ["num_ctx"])):
        body = OllamaChatRequest.model_validate({"model": "m", "options": {"num_ctx": size}})
        assert ignored_options(body, CARD) == named
