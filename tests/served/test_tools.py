"""Calls and forms by the default model, which was taught none: through SDK and LangChain."""

import json
from collections.abc import Sequence
from typing import Any, Literal

import httpx2
import jsonschema
import openai
import pytest
from langchain_core.messages import AIMessageChunk
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from openai import OpenAI
from openai.types.chat import ChatCompletionMessageFunctionToolCall
from pydantic import BaseModel, Field

from tests.served.conftest import MODEL

WEATHER = {
    "type": "object",
    "properties": {
        "city": {"type": "string", "maxLength": 20},
        "unit": {"type": "string", "enum": ["celsius", "fahrenheit"]},
        "days": {"type": "integer", "minimum": 1, "maximum": 7},
    },
    "required": ["city", "unit", "days"],
    "additionalProperties": False,
}
TOOLS: Any = [
    {"type": "function", "function": {"name": "get_weather", "parameters": WEATHER}},
    {"type": "function", "function": {"name": "get_time", "description": "The time."}},
]
QUESTION: Any = [{"role": "user", "content": "What is the weather in Paris?"}]
NAMED = {"type": "function", "function": {"name": "get_time"}}
ALLOWED = {
    "type": "allowed_tools",
    "allowed_tools": {"mode": "required", "tools": [NAMED]},
}


class Person(BaseModel):
    name: str = Field(max_length=20)
    age: int = Field(ge=0, le=130)
    mood: Literal["calm", "cheerful"]
    friends: list[bool] = Field(max_length=3)


def made(calls: Sequence[Any] | None) -> list[tuple[str, str]]:
    return [(call.function.name, call.function.arguments) for call in calls or []]


def checked(calls: list[tuple[str, str]]) -> list[tuple[str, str]]:
    for name, arguments in calls:
        if name == "get_weather":
            jsonschema.validate(json.loads(arguments), WEATHER)
        else:
            assert (name, arguments) == ("get_time", "{}")
    return calls


@pytest.mark.parametrize(
    ("choice", "names"),
    [
        ("none", set()),
        ("auto", None),
        ("required", {"get_weather", "get_time"}),
        (NAMED, {"get_time"}),
        (ALLOWED, {"get_time"}),
    ],
    ids=["none", "auto", "required", "named", "allowed"],
)
@pytest.mark.parametrize("is_parallel", [True, False])
def test_every_choice_is_obeyed_streamed_and_not(
    sdk: OpenAI, choice: Any, names: set[str] | None, is_parallel: bool
) -> None:
    asked: Any = {
        "model": MODEL,
        "messages": QUESTION,
        "tools": TOOLS,
        "tool_choice": choice,
        "parallel_tool_calls": is_parallel,
        "max_tokens": 200,
        "temperature": 0,
    }
    whole = sdk.chat.completions.create(**asked).choices[0]
    with sdk.chat.completions.stream(**asked) as stream:
        stream.until_done()
        streamed = stream.current_completion_snapshot.choices[0]
    calls = made(whole.message.tool_calls)
    assert calls == made(streamed.message.tool_calls)
    assert (whole.message.content or "") == (streamed.message.content or "")
    assert whole.finish_reason == streamed.finish_reason
    if whole.finish_reason != "length":
        assert (whole.finish_reason == "tool_calls") == bool(checked(calls))
        assert names is None or bool(names) == bool(calls)
    assert is_parallel or len(calls) <= 1
    assert names is None or {name for name, _ in calls} <= names


def test_the_sdk_parses_an_answer_into_a_model(sdk: OpenAI) -> None:
    parsed = sdk.chat.completions.parse(
        model=MODEL,
        messages=[{"role": "user", "content": "Describe Ada, who is 36."}],
        response_format=Person,
        temperature=1.5,
        max_tokens=200,
    )
    assert isinstance(parsed.choices[0].message.parsed, Person)


def test_the_sdk_parses_the_arguments_of_a_call(sdk: OpenAI) -> None:
    parsed = sdk.chat.completions.parse(
        model=MODEL,
        messages=[{"role": "user", "content": "Store Ada, who is 36."}],
        tools=[openai.pydantic_function_tool(Person)],
        tool_choice="required",
        parallel_tool_calls=False,
        temperature=1.5,
        max_tokens=200,
    )
    [call] = parsed.choices[0].message.tool_calls or []
    assert isinstance(call.function.parsed_arguments, Person)


def test_a_cut_form_is_a_length_error_of_the_sdk(sdk: OpenAI) -> None:
    with pytest.raises(openai.LengthFinishReasonError):
        sdk.chat.completions.parse(
            model=MODEL, messages=QUESTION, response_format=Person, max_tokens=5
        )


def test_the_sdk_runs_a_whole_agent_loop(sdk: OpenAI) -> None:
    messages: Any = [*QUESTION]
    first = sdk.chat.completions.create(
        model=MODEL, messages=messages, tools=TOOLS, tool_choice="required", max_tokens=300
    )
    message = first.choices[0].message
    messages.append(message)
    for call in message.tool_calls or []:
        assert isinstance(call, ChatCompletionMessageFunctionToolCall)
        messages.append({"role": "tool", "tool_call_id": call.id, "content": '{"degrees": 21}'})
    last = sdk.chat.completions.create(
        model=MODEL, messages=messages, tools=TOOLS, tool_choice="none", max_tokens=20
    )
    assert last.choices[0].message.content


def test_broken_arguments_in_the_history_are_no_error(sdk: OpenAI) -> None:
    history: Any = [
        *QUESTION,
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [
                {
                    "id": "c",
                    "type": "function",
                    "function": {"name": "get_weather", "arguments": '{"city": "Pa'},
                }
            ],
        },
        {"role": "tool", "tool_call_id": "c", "content": "no such city"},
    ]
    for tools in ({}, {"tools": TOOLS}):
        asked: Any = {"model": MODEL, "messages": history, "max_tokens": 8, **tools}
        assert sdk.chat.completions.create(**asked).usage is not None


def test_legacy_functions_are_called(sdk: OpenAI) -> None:
    choice = sdk.chat.completions.create(
        model=MODEL,
        messages=QUESTION,
        functions=[{"name": "get_weather", "parameters": WEATHER}],
        function_call={"name": "get_weather"},
        max_tokens=200,
    ).choices[0]
    assert choice.finish_reason == "function_call"
    assert choice.message.function_call is not None
    jsonschema.validate(json.loads(choice.message.function_call.arguments), WEATHER)


@pytest.mark.parametrize(
    ("extension", "text"),
    [
        ({"guided_choice": ["red", "green"]}, r"red|green"),
        ({"guided_regex": "[0-9]{3}-[0-9]{2}"}, r"\d{3}-\d{2}"),
        ({"grammar": 'start: "a" /b{1,5}/ "c"'}, r"ab+c"),
        ({"grammar": 'root ::= "yes" | "no"'}, r"yes|no"),
    ],
)
def test_the_extensions_hold_in_chat_and_in_completions(
    sdk: OpenAI, extension: dict[str, object], text: str
) -> None:
    chat = sdk.chat.completions.create(
        model=MODEL, messages=QUESTION, extra_body=extension, max_tokens=40, temperature=0
    )
    raw = sdk.completions.create(
        model=MODEL, prompt="It is", extra_body=extension, max_tokens=40, temperature=0
    )
    for answer in (chat.choices[0].message.content, raw.choices[0].text):
        assert answer is not None
        jsonschema.validate(answer, {"type": "string", "pattern": f"^({text})$"})


UNIQUE = {"type": "array", "items": {"uniqueItems": True}}
UNENFORCEABLE = {"type": "object", "properties": {"a": UNIQUE}}


@pytest.mark.parametrize(
    ("fields", "place"),
    [
        (
            {
                "tools": [
                    {
                        "type": "function",
                        "function": {"name": "f", "parameters": UNENFORCEABLE, "strict": True},
                    }
                ]
            },
            "The function 'f': The JSON Schema in 'tools[0].function.parameters' cannot be",
        ),
        ({"response_format": {"type": "json_object", "schema": UNIQUE}}, "'/items'"),
        ({"guided_regex": "(["}, "guided_regex"),
        ({"grammar": "start: ("}, "grammar"),
    ],
)
def test_what_cannot_be_enforced_is_a_400_that_says_where(
    http: httpx2.Client, fields: dict[str, object], place: str
) -> None:
    response = http.post(
        "/v1/chat/completions", json={"model": MODEL, "messages": QUESTION, **fields}
    )
    assert response.status_code == 400
    assert place in response.json()["error"]["message"]


TAGS = {
    "type": "object",
    "properties": {
        "tags": {
            "type": "array",
            "items": {"enum": ["red", "green", "blue"]},
            "uniqueItems": True,
            "minItems": 2,
            "maxItems": 2,
        }
    },
    "required": ["tags"],
}


def test_a_set_does_not_refuse_the_chat_and_its_call_is_checked(http: httpx2.Client) -> None:
    fields: dict[str, object] = {
        "model": MODEL,
        "messages": QUESTION,
        "tools": [{"type": "function", "function": {"name": "tag", "parameters": TAGS}}],
        "parallel_tool_calls": False,
        "max_tokens": 60,
    }
    for seed in range(4):
        asked = {**fields, "tool_choice": "required", "temperature": 1.5, "seed": seed}
        response = http.post("/v1/chat/completions", json=asked)
        assert response.status_code == 200, response.text
        [call] = response.json()["choices"][0]["message"]["tool_calls"]
        red_green = json.loads(call["function"]["arguments"])["tags"]
        is_valid = len(set(red_green)) == 2
        assert is_valid == ("x-llm-api-unenforced" not in response.headers)
    free = http.post("/v1/chat/completions", json={**fields, "tool_choice": "auto"})
    assert free.status_code == 200
    streamed = http.post(
        "/v1/chat/completions", json={**fields, "tool_choice": "required", "stream": True}
    )
    assert streamed.status_code == 200, streamed.text
    assert streamed.headers["x-llm-api-unenforced"] == "tag"


def test_the_server_runs_functions_and_says_so(sdk: OpenAI) -> None:
    choice = sdk.chat.completions.create(
        model=MODEL,
        messages=[{"role": "user", "content": "Which weekday is 2026-11-20?"}],
        tool_choice="required",
        parallel_tool_calls=False,
        max_tokens=200,
        extra_body={"server_tools": ["get_weekday"]},
    ).choices[0]
    [call, *_] = (choice.message.model_extra or {})["server_tool_calls"]
    assert call["name"] == "get_weekday"
    assert "date" in json.loads(call["arguments"])
    assert not choice.message.tool_calls


@pytest.fixture
def langchain(served_url: str) -> ChatOpenAI:
    return ChatOpenAI(base_url=f"{served_url}/v1", api_key="unused", model=MODEL, max_tokens=200)  # type: ignore[arg-type,call-arg]


@tool
def multiply(left: int, right: int) -> int:
    """Multiply two numbers."""
    return left * right


def test_langchain_binds_tools(langchain: ChatOpenAI) -> None:
    bound = langchain.bind_tools([multiply], tool_choice="any", parallel_tool_calls=False)
    [call] = bound.invoke("What is 6 times 7?").tool_calls
    assert call["name"] == "multiply"
    assert all(isinstance(value, int) for value in call["args"].values())
    chunks = list(bound.stream("What is 6 times 7?"))
    streamed = sum(chunks[1:], chunks[0])
    assert isinstance(streamed, AIMessageChunk)
    assert [call["name"] for call in streamed.tool_calls] == ["multiply"]


@pytest.mark.parametrize("method", ["json_schema", "function_calling"])
def test_langchain_gets_structured_output(langchain: ChatOpenAI, method: Any) -> None:
    structured = langchain.with_structured_output(Person, method=method)
    assert isinstance(structured.invoke("Describe Ada, who is 36."), Person)
