"""Calls, reasoning and formats on the wire: what reaches the backend, and how its events look."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import httpx2
import pytest
from openai import OpenAI
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from pydantic import JsonValue

from llm_api.core.functions.types import FunctionSpec, Origin
from llm_api.core.llm.types import (
    ChatPrompt,
    ChoiceFormat,
    Finished,
    FinishReason,
    GenerationRequest,
    GrammarFormat,
    JSONFormat,
    Message,
    OutputFormat,
    ReasoningDelta,
    RegexFormat,
    Started,
    TextDelta,
    ToolCall,
    ToolCallDelta,
    ToolCallStarted,
    ToolChoice,
    ToolSpec,
    Usage,
)
from tests.api.bodies import HELLO, chat, completion, tool
from tests.fakes import MODEL_ID, FakeBackend, FakeServices, Step, spoken

CHAT = "/v1/chat/completions"
CITY: dict[str, Any] = {"type": "string"}
TOOLS = [tool("weather", city=CITY), tool("now")]


def two_calls(reason: FinishReason = "tool_calls") -> list[Step]:
    return [
        Started(5),
        ReasoningDelta("Both."),
        TextDelta("I look."),
        ToolCallStarted(0, "call_a", "weather"),
        ToolCallDelta(0, '{"city": '),
        ToolCallDelta(0, '"Rome"}'),
        ToolCallStarted(1, "call_b", "now"),
        ToolCallDelta(1, "{}"),
        Finished(reason, Usage(5, 20, reasoning_tokens=2)),
    ]


def one_call(_: GenerationRequest) -> Sequence[Step]:
    return [
        Started(5),
        ToolCallStarted(0, "call_a", "now"),
        ToolCallDelta(0, "{}"),
        Finished("tool_calls", Usage(5, 20)),
    ]


async def post(client: httpx2.AsyncClient, **fields: object) -> dict[str, Any]:
    response = await client.post(CHAT, json=chat(**fields))
    assert response.status_code == 200, response.text
    ChatCompletion.model_validate_json(response.content, strict=True)
    return dict(response.json()["choices"][0])


async def asked(
    client: httpx2.AsyncClient, backend: FakeBackend, **fields: object
) -> GenerationRequest:
    await post(client, **fields)
    return backend.requests[-1]


async def deltas(client: httpx2.AsyncClient, **fields: object) -> list[dict[str, Any]]:
    """The choices of all chunks but the first, valid by the official SDK's own types."""
    response = await client.post(CHAT, json=chat(stream=True, **fields))
    assert response.status_code == 200, response.text
    *frames, done = response.text.removesuffix("\n\n").split("\n\n")
    assert done == "data: [DONE]"
    bodies = [frame.removeprefix("data: ") for frame in frames]
    for body in bodies:
        ChatCompletionChunk.model_validate_json(body, strict=True)
    return [json.loads(body)["choices"][0] for body in bodies[1:]]


async def test_an_answer_carries_calls_and_reasoning(
    client: httpx2.AsyncClient, backend: FakeBackend
) -> None:
    backend.script = lambda _: two_calls()
    choice = await post(client, tools=TOOLS)
    assert choice["finish_reason"] == "tool_calls"
    assert choice["message"] == {
        "role": "assistant",
        "content": "I look.",
        "refusal": None,
        "reasoning_content": "Both.",
        "tool_calls": [
            {
                "id": "call_a",
                "type": "function",
                "function": {"name": "weather", "arguments": '{"city": "Rome"}'},
            },
            {"id": "call_b", "type": "function", "function": {"name": "now", "arguments": "{}"}},
        ],
    }


async def test_content_is_null_beside_calls_without_text(
    client: httpx2.AsyncClient, backend: FakeBackend
) -> None:
    backend.script = one_call
    message = (await post(client, tools=TOOLS))["message"]
    assert message["content"] is None
    assert "reasoning_content" not in message


async def test_a_stream_names_each_call_once_and_counts_them(
    client: httpx2.AsyncClient, backend: FakeBackend
) -> None:
    backend.script = lambda _: two_calls()
    choices = await deltas(client, tools=TOOLS)
    assert [choice["delta"] for choice in choices] == [
        {"reasoning_content": "Both."},
        {"content": "I look."},
        {
            "tool_calls": [
                {
                    "index": 0,
                    "id": "call_a",
                    "type": "function",
                    "function": {"name": "weather", "arguments": ""},
                }
            ]
        },
        {"tool_calls": [{"index": 0, "function": {"arguments": '{"city": '}}]},
        {"tool_calls": [{"index": 0, "function": {"arguments": '"Rome"}'}}]},
        {
            "tool_calls": [
                {
                    "index": 1,
                    "id": "call_b",
                    "type": "function",
                    "function": {"name": "now", "arguments": ""},
                }
            ]
        },
        {"tool_calls": [{"index": 1, "function": {"arguments": "{}"}}]},
        {},
    ]
    assert [choice["finish_reason"] for choice in choices] == [None] * 7 + ["tool_calls"]


async def test_legacy_functions_are_answered_in_their_own_form(
    client: httpx2.AsyncClient, backend: FakeBackend
) -> None:
    backend.script = one_call
    functions = [{"name": "now"}]
    choice = await post(client, functions=functions)
    assert choice["finish_reason"] == "function_call"
    assert choice["message"]["function_call"] == {"name": "now", "arguments": "{}"}
    assert "tool_calls" not in choice["message"]
    assert [item["delta"] for item in await deltas(client, functions=functions)] == [
        {"function_call": {"name": "now", "arguments": ""}},
        {"function_call": {"arguments": "{}"}},
        {},
    ]


async def test_a_cut_in_a_call_is_a_cut(client: httpx2.AsyncClient, backend: FakeBackend) -> None:
    backend.script = lambda _: two_calls("length")
    choice = await post(client, tools=TOOLS)
    assert choice["finish_reason"] == "length"


BOTH = frozenset({"weather", "now"})
NAMED = {"type": "function", "function": {"name": "now"}}


@pytest.mark.parametrize(
    ("fields", "choice"),
    [
        ({}, ToolChoice("auto", BOTH)),
        ({"tool_choice": "auto"}, ToolChoice("auto", BOTH)),
        ({"tool_choice": "required"}, ToolChoice("required", BOTH)),
        ({"parallel_tool_calls": False}, ToolChoice("auto", BOTH, is_parallel=False)),
        ({"tool_choice": NAMED}, ToolChoice("required", frozenset({"now"}), is_parallel=False)),
        (
            {
                "tool_choice": {
                    "type": "allowed_tools",
                    "allowed_tools": {"mode": "required", "tools": [NAMED]},
                }
            },
            ToolChoice("required", frozenset({"now"})),
        ),
    ],
)
async def test_a_tool_choice_says_what_may_be_called(
    client: httpx2.AsyncClient,
    backend: FakeBackend,
    fields: dict[str, object],
    choice: ToolChoice,
) -> None:
    request = await asked(client, backend, tools=TOOLS, **fields)
    assert request.tool_choice == choice
    assert isinstance(request.prompt, ChatPrompt)
    assert [spec.name for spec in request.prompt.tools] == ["weather", "now"]
    assert request.prompt.tools[0] == ToolSpec(
        "weather",
        "",
        {"type": "object", "properties": {"city": CITY}, "required": ["city"]},
    )


@pytest.mark.parametrize("fields", [{"tool_choice": "none"}, {"tools": []}, {"tools": None}])
async def test_tools_that_may_not_be_called_stay_out_of_the_prompt(
    client: httpx2.AsyncClient, backend: FakeBackend, fields: dict[str, object]
) -> None:
    request = await asked(client, backend, **{"tools": TOOLS, **fields})
    assert request.tool_choice is None
    assert isinstance(request.prompt, ChatPrompt)
    assert request.prompt.tools == ()


async def test_legacy_function_choices_mean_the_same(
    client: httpx2.AsyncClient, backend: FakeBackend
) -> None:
    functions = [{"name": "now", "description": "The time."}]
    request = await asked(client, backend, functions=functions, function_call={"name": "now"})
    assert request.tool_choice == ToolChoice("required", frozenset({"now"}), is_parallel=False)
    request = await asked(client, backend, functions=functions)
    assert request.tool_choice == ToolChoice("auto", frozenset({"now"}), is_parallel=False)
    request = await asked(client, backend, functions=functions, function_call="none")
    assert request.tool_choice is None


async def test_a_history_of_calls_reaches_the_backend_broken_arguments_and_all(
    client: httpx2.AsyncClient, backend: FakeBackend
) -> None:
    function = {"name": "weather", "arguments": '{"city": "Ro'}
    request = await asked(
        client,
        backend,
        messages=[
            *HELLO,
            {
                "role": "assistant",
                "content": None,
                "reasoning_content": "Hm.",
                "tool_calls": [{"id": "call_a", "type": "function", "function": function}],
            },
            {"role": "tool", "tool_call_id": "call_a", "content": [{"type": "text", "text": "4"}]},
            {"role": "assistant", "content": None, "function_call": function},
            {"role": "function", "name": "weather", "content": "5"},
            {"role": "tool", "tool_call_id": "call_a", "content": "again"},
        ],
    )
    assert isinstance(request.prompt, ChatPrompt)
    assert request.prompt.messages[1:] == (
        Message(
            "assistant",
            "",
            tool_calls=(ToolCall("call_a", "weather", '{"city": "Ro'),),
            reasoning="Hm.",
        ),
        Message("tool", "4", tool_call_id="call_a"),
        Message("assistant", "", tool_calls=(ToolCall("call_weather", "weather", '{"city": "Ro'),)),
        Message("tool", "5", name="weather", tool_call_id="call_weather"),
        Message("tool", "again", tool_call_id="call_a"),
    )


SCHEMA: dict[str, Any] = {"type": "object", "properties": {"a": {"type": "integer"}}}


@pytest.mark.parametrize(
    ("fields", "output_format"),
    [
        ({}, None),
        ({"response_format": {"type": "text"}}, None),
        ({"response_format": {"type": "json_object"}}, JSONFormat({"type": "object"})),
        ({"response_format": {"type": "json_object", "schema": SCHEMA}}, JSONFormat(SCHEMA)),
        (
            {"response_format": {"type": "json_schema", "json_schema": {"name": "x"}}},
            JSONFormat({"type": "object"}),
        ),
        (
            {
                "response_format": {
                    "type": "json_schema",
                    "json_schema": {"name": "x", "strict": False, "schema": SCHEMA},
                }
            },
            JSONFormat(SCHEMA),
        ),
        ({"guided_regex": "a+"}, RegexFormat("a+")),
        ({"guided_choice": ["yes", "no", "yes"]}, ChoiceFormat(("yes", "no"))),
        ({"grammar": 'root ::= "a"'}, GrammarFormat('root ::= "a"')),
    ],
)
async def test_a_format_reaches_the_backend(
    client: httpx2.AsyncClient,
    backend: FakeBackend,
    fields: dict[str, object],
    output_format: OutputFormat | None,
) -> None:
    assert (await asked(client, backend, **fields)).output_format == output_format


async def test_legacy_completions_take_the_extensions(
    client: httpx2.AsyncClient, backend: FakeBackend
) -> None:
    response = await client.post("/v1/completions", json=completion(guided_choice=["a", "b"]))
    assert response.status_code == 200, response.text
    assert backend.requests[-1].output_format == ChoiceFormat(("a", "b"))


def add_function(services: FakeServices) -> None:
    @dataclass(frozen=True)
    class Echo:
        spec = FunctionSpec("echo", "Says it again.", {"type": "object"})
        origin = Origin("program", "tests")
        timeout_seconds = None

        async def call(self, arguments: Mapping[str, JsonValue]) -> str:
            return json.dumps(arguments)

    services.functions.catalog.add(Echo())


def echo_then_answer(request: GenerationRequest) -> Sequence[Step]:
    assert isinstance(request.prompt, ChatPrompt)
    if request.prompt.messages[-1].role == "tool":
        return spoken("Done.")
    return [
        Started(5),
        ToolCallStarted(0, "call_a", "echo"),
        ToolCallDelta(0, '{"a": 1}'),
        Finished("tool_calls", Usage(5, 3)),
    ]


@pytest.mark.parametrize("server_tools", [["echo", "echo"], "all"])
async def test_the_server_runs_its_own_functions(
    client: httpx2.AsyncClient, backend: FakeBackend, services: FakeServices, server_tools: object
) -> None:
    add_function(services)
    backend.script = echo_then_answer
    choice = await post(client, server_tools=server_tools, tools=TOOLS)
    assert choice["finish_reason"] == "stop"
    assert choice["message"]["content"] == "Done."
    assert "tool_calls" not in choice["message"]
    [call] = choice["message"]["server_tool_calls"]
    assert call.pop("duration_seconds") >= 0
    expected = {
        "index": 0,
        "id": "call_a",
        "name": "echo",
        "arguments": '{"a": 1}',
        "result": '{"a": 1}',
        "is_error": False,
    }
    assert call == expected
    assert isinstance(backend.requests[0].prompt, ChatPrompt)
    assert [tool.name for tool in backend.requests[0].prompt.tools] == ["weather", "now", "echo"]
    [first, *others] = await deltas(client, server_tools=server_tools)
    [streamed] = first["delta"]["server_tool_calls"]
    assert streamed | {"duration_seconds": 0} == expected | {"duration_seconds": 0}
    assert [item["delta"] for item in others] == [{"content": "Done."}, {}]


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"server_tools": ["absent"]}, "server_tools"),
        ({"server_tools": "some"}, "server_tools"),
        ({"server_tools": [1]}, "server_tools[0]"),
        ({"server_tools": ["echo"], "functions": [{"name": "f"}]}, "server_tools"),
        ({"server_tools": ["echo"], "tools": [tool("echo")]}, "tools"),
    ],
)
async def test_server_tools_that_make_no_sense_are_refused(
    client: httpx2.AsyncClient, services: FakeServices, fields: dict[str, object], param: str
) -> None:
    add_function(services)
    response = await client.post(CHAT, json=chat(**fields))
    assert response.status_code == 400
    assert response.json()["error"]["param"] == param


def test_the_sdk_s_stream_helper_folds_calls_by_index(base_url: str, backend: FakeBackend) -> None:
    backend.script = lambda _: two_calls()
    with (
        OpenAI(base_url=f"{base_url}/v1", api_key="unused", max_retries=0) as sdk,
        sdk.chat.completions.stream(
            model=MODEL_ID,
            messages=[{"role": "user", "content": "Hi"}],
            tools=[{"type": "function", "function": {"name": "weather", "parameters": {}}}],
        ) as stream,
    ):
        message = stream.get_final_completion().choices[0].message
    assert [(c.id, c.function.name, c.function.arguments) for c in message.tool_calls or []] == [
        ("call_a", "weather", '{"city": "Rome"}'),
        ("call_b", "now", "{}"),
    ]


async def test_strictness_and_where_a_tool_came_from_reach_the_backend(
    client: httpx2.AsyncClient, backend: FakeBackend, services: FakeServices
) -> None:
    add_function(services)
    strict = {"type": "function", "function": {"name": "now", "strict": True}}
    request = await asked(client, backend, tools=[TOOLS[0], strict], server_tools=["echo"])
    assert isinstance(request.prompt, ChatPrompt)
    assert [(one.is_strict, one.param) for one in request.prompt.tools] == [
        (False, "tools[0].function.parameters"),
        (True, "tools[1].function.parameters"),
        (False, "server_tools"),
    ]
    request = await asked(client, backend, functions=[{"name": "now"}])
    assert isinstance(request.prompt, ChatPrompt)
    assert request.prompt.tools[0].param == "functions[0].parameters"


def broken_call(_: GenerationRequest) -> Sequence[Step]:
    return [
        Started(5, unenforced=("now", "weather")),
        ToolCallStarted(0, "call_a", "now"),
        ToolCallDelta(0, "{}"),
        Finished("tool_calls", Usage(5, 20), unenforced=("now",)),
    ]


async def test_an_answer_names_the_functions_of_which_a_call_is_not_valid(
    client: httpx2.AsyncClient, backend: FakeBackend
) -> None:
    backend.script = broken_call
    whole = await client.post(CHAT, json=chat(tools=TOOLS, n=2))
    assert whole.headers["x-llm-api-unenforced"] == "now"
    streamed = await client.post(CHAT, json=chat(tools=TOOLS, n=2, stream=True))
    assert streamed.headers["x-llm-api-unenforced"] == "now, weather"
    backend.script = one_call
    assert "x-llm-api-unenforced" not in (await client.post(CHAT, json=chat(tools=TOOLS))).headers


async def test_what_one_round_of_the_server_s_functions_broke_is_said_of_the_answer(
    client: httpx2.AsyncClient, backend: FakeBackend, services: FakeServices
) -> None:
    def broken_echo(request: GenerationRequest) -> Sequence[Step]:
        *steps, end = echo_then_answer(request)
        assert isinstance(end, Finished)
        is_call = end.reason == "tool_calls"
        return [*steps, replace(end, unenforced=("echo",) if is_call else ())]

    add_function(services)
    backend.script = broken_echo
    response = await client.post(CHAT, json=chat(server_tools=["echo"]))
    assert response.json()["choices"][0]["finish_reason"] == "stop"
    assert response.headers["x-llm-api-unenforced"] == "echo"
