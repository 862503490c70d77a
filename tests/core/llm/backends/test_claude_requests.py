"""What is posted to Claude, as the types of Anthropic's official client take it."""

import json
from dataclasses import replace
from typing import Any, cast

import pytest
from anthropic.types import AssistantMessageParam, SystemMessageParam, UserMessageParam
from anthropic.types.message_create_params import MessageCreateParamsStreaming
from pydantic import TypeAdapter

from llm_api.core.errors import InvalidRequestError, UnsupportedParameterError
from llm_api.core.llm.backends.claude_requests import reads_variable, to_body
from llm_api.core.llm.types import (
    JSON,
    ChatPrompt,
    GenerationRequest,
    JSONFormat,
    Message,
    Sampling,
    TextPrompt,
    ToolCall,
    ToolChoice,
    ToolSpec,
)

REQUEST: TypeAdapter[Any] = TypeAdapter(MessageCreateParamsStreaming)
TURNS: dict[str, TypeAdapter[Any]] = {
    "user": TypeAdapter(UserMessageParam),
    "assistant": TypeAdapter(AssistantMessageParam),
    "system": TypeAdapter(SystemMessageParam),
}
WEATHER = ToolSpec("weather", "Tells it.", {"properties": {"city": {"type": "string"}}})
CLOCK = ToolSpec("clock")
BOTH = frozenset({"weather", "clock"})
HI = Message("user", "Hi")
CALL = Message("assistant", "", tool_calls=(ToolCall("toolu_1", "weather", '{"city": "Paris"}'),))
RESULT = Message("tool", "sunny", tool_call_id="toolu_1")


def chat(*messages: Message, **others: Any) -> GenerationRequest:
    return GenerationRequest(ChatPrompt(messages or (HI,)), 9, **others)


def posted(request: GenerationRequest) -> dict[str, Any]:
    """The body, which the official client's types know to the last field, save sampling."""
    body = to_body(request, "claude-opus-4-8")
    sampling = {"temperature", "top_p", "top_k"}
    known = {name: body[name] for name in body.keys() - sampling} | {"messages": []}
    assert taken(REQUEST, known) == known
    for turn in cast(list[dict[str, Any]], body["messages"]):
        assert taken(TURNS[turn["role"]], turn) == turn
    return body


def taken(adapter: TypeAdapter[Any], value: object) -> object:
    """What is left of a value where the fields that are not known are dropped."""
    return json.loads(adapter.dump_json(adapter.validate_python(value)))


def text(said: str) -> dict[str, str]:
    return {"type": "text", "text": said}


def test_a_request_says_no_more_than_it_must() -> None:
    assert posted(chat()) == {
        "model": "claude-opus-4-8",
        "max_tokens": 9,
        "messages": [{"role": "user", "content": [text("Hi")]}],
        "stream": True,
    }


def test_an_answer_without_a_bound_gets_one_since_the_protocol_asks_for_it() -> None:
    assert posted(replace(chat(Message("user", "Hi")), max_tokens=None))["max_tokens"] == 4096


def test_raw_text_is_refused() -> None:
    with pytest.raises(UnsupportedParameterError, match="raw text"):
        to_body(GenerationRequest(TextPrompt("Once"), 9), "claude")


def test_leading_system_messages_are_lifted_out() -> None:
    body = posted(chat(Message("system", "Be brief."), Message("system", "Be kind."), HI))
    assert body["system"] == [text("Be brief."), text("Be kind.")]
    assert body["messages"] == [{"role": "user", "content": [text("Hi")]}]


def test_a_later_system_message_keeps_its_place_and_its_authority() -> None:
    body = posted(chat(HI, Message("system", "Now in French.")))
    assert body["messages"][1] == {"role": "system", "content": [text("Now in French.")]}
    assert "system" not in body


def test_turns_alternate() -> None:
    body = posted(chat(HI, Message("user", "there"), Message("assistant", "Yes?"), HI))
    assert body["messages"] == [
        {"role": "user", "content": [text("Hi"), text("there")]},
        {"role": "assistant", "content": [text("Yes?")]},
        {"role": "user", "content": [text("Hi")]},
    ]


def test_results_are_blocks_of_the_user() -> None:
    body = posted(chat(HI, CALL, RESULT, Message("user", "And?")))
    call, answered = body["messages"][1:]
    arguments = {"city": "Paris"}
    assert call == {
        "role": "assistant",
        "content": [{"type": "tool_use", "id": "toolu_1", "name": "weather", "input": arguments}],
    }
    result = {"type": "tool_result", "tool_use_id": "toolu_1", "content": "sunny"}
    assert answered == {"role": "user", "content": [result, text("And?")]}


def test_past_calls_are_defined_where_none_may_be_made() -> None:
    body = posted(chat(HI, CALL, RESULT))
    assert body["tools"] == [{"name": "weather", "input_schema": {"type": "object"}}]
    assert body["tool_choice"] == {"type": "none"}


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        (ToolChoice("auto", BOTH), {"type": "auto"}),
        (ToolChoice("required", BOTH), {"type": "any"}),
        (ToolChoice("required", frozenset({"clock"})), {"type": "tool", "name": "clock"}),
        (
            ToolChoice("auto", BOTH, is_parallel=False),
            {"type": "auto", "disable_parallel_tool_use": True},
        ),
    ],
)
def test_which_tools_may_be_called(choice: ToolChoice, expected: dict[str, Any]) -> None:
    prompt = ChatPrompt((HI,), tools=(WEATHER, CLOCK))
    body = posted(GenerationRequest(prompt, 9, tool_choice=choice))
    assert body["tool_choice"] == expected
    assert {tool["name"] for tool in body["tools"]} == choice.allowed


def test_a_tool_has_a_schema() -> None:
    prompt = ChatPrompt((HI,), tools=(WEATHER,))
    choice = ToolChoice("auto", frozenset({"weather"}))
    assert posted(GenerationRequest(prompt, 9, tool_choice=choice))["tools"] == [
        {
            "name": "weather",
            "description": "Tells it.",
            "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}},
        }
    ]


def test_sampling_is_said_where_it_is_not_the_default() -> None:
    body = posted(chat(sampling=Sampling(temperature=0.0, top_p=0.9, top_k=5), stop=("\n",)))
    assert (body["temperature"], body["top_p"], body["top_k"]) == (0.0, 0.9, 5)
    assert body["stop_sequences"] == ["\n"]


def test_a_temperature_above_1_is_refused_by_name() -> None:
    with pytest.raises(UnsupportedParameterError, match="temperature") as caught:
        to_body(chat(sampling=Sampling(temperature=1.01)), "claude")
    assert caught.value.param == "temperature"


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"enable_thinking": True}, {"thinking": {"type": "adaptive", "display": "summarized"}}),
        ({"enable_thinking": False}, {"thinking": {"type": "disabled"}}),
        ({"reasoning_effort": "high"}, {"output_config": {"effort": "high"}}),
        ({"reasoning_effort": "minimal"}, {"output_config": {"effort": "low"}}),
        ({"reasoning_effort": "none"}, {"thinking": {"type": "disabled"}, "output_config": None}),
    ],
)
def test_thinking_is_switched(variables: dict[str, JSON], expected: dict[str, Any]) -> None:
    body = posted(GenerationRequest(ChatPrompt((HI,), variables), 9))
    assert {name: body.get(name) for name in expected} == expected


@pytest.mark.parametrize(
    ("name", "value"),
    [("enable_thinking", 1), ("reasoning_effort", "huge"), ("reasoning_effort", []), ("x", 1)],
)
def test_other_variables_say_nothing_to_claude(name: str, value: JSON) -> None:
    assert not reads_variable(name, value)


def test_a_schema_is_decoded_by() -> None:
    schema: dict[str, JSON] = {"type": "object", "additionalProperties": False}
    body = posted(chat(output_format=JSONFormat(schema)))
    assert body["output_config"] == {"format": {"type": "json_schema", "schema": schema}}


CLOSED: dict[str, JSON] = {"additionalProperties": False, "type": "object"}


@pytest.mark.parametrize(
    "schema",
    [
        CLOSED | {"properties": {"a": {"type": ["string", "null"], "format": "date"}}},
        CLOSED | {"properties": {"a": {"$ref": "#/$defs/b"}}, "$defs": {"b": {"enum": [1, 2]}}},
        {"type": "array", "items": {"anyOf": [{"type": "integer"}, CLOSED]}, "minItems": 1},
    ],
)
def test_schemas_that_claude_keeps_to(schema: dict[str, JSON]) -> None:
    sent = posted(chat(output_format=JSONFormat(schema)))["output_config"]["format"]["schema"]
    assert sent == schema


@pytest.mark.parametrize(
    ("budget", "told"),
    [(0, {"type": "disabled"}), (1024, {"type": "enabled", "budget_tokens": 1024})],
)
def test_a_reasoning_budget_is_claudes(budget: int, told: dict[str, JSON]) -> None:
    assert posted(replace(chat(reasoning_budget=budget), max_tokens=2000))["thinking"] == told


@pytest.mark.parametrize("budget", [1023, 2000])
def test_a_reasoning_budget_that_claude_does_not_take_is_refused(budget: int) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        to_body(replace(chat(reasoning_budget=budget), max_tokens=2000), "claude")
    assert caught.value.param == "reasoning_budget"


def test_a_format_that_asserts_nothing_is_not_sent() -> None:
    odd: dict[str, JSON] = {"type": "string", "format": "made-up"}
    schema = CLOSED | {"properties": {"format": odd}, "$defs": {"a": {"anyOf": [odd]}}}
    sent = posted(chat(output_format=JSONFormat(schema)))["output_config"]["format"]["schema"]
    string = {"type": "string"}
    assert sent == CLOSED | {"properties": {"format": string}, "$defs": {"a": {"anyOf": [string]}}}


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ({"type": "object"}, "at its root, 'additionalProperties' must be false"),
        ({"type": ["object", "null"]}, "'additionalProperties' must be false"),
        ({}, "at its root, a type is needed"),
        (CLOSED | {"properties": {"a": True}}, "at '/properties/a', true is no type"),
        ({"type": "integer", "minimum": 1}, "'minimum' cannot be enforced"),
        ({"type": "array", "items": {"type": "null"}, "minItems": 2}, "'minItems' must be 0 or 1"),
        ({"oneOf": [{"type": "null"}]}, "'oneOf' cannot be enforced"),
        ({"type": "string", "format": "regex"}, "the format 'regex' cannot be enforced"),
    ],
)
def test_other_schemas_are_refused_with_the_place(schema: dict[str, JSON], words: str) -> None:
    with pytest.raises(UnsupportedParameterError, match=words) as caught:
        to_body(chat(output_format=JSONFormat(schema)), "claude")
    assert caught.value.param == "response_format"
