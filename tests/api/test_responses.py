"""`POST /v1/responses` over a scripted backend: whole, streamed, refused."""

import base64
import json
from collections.abc import Sequence
from typing import Any

import httpx2
import pytest

from llm_api.core.errors import ContextLengthExceededError, GenerationError
from llm_api.core.functions.builtin.dates import get_weekday
from llm_api.core.functions.python_function import FunctionThreads, PythonFunction
from llm_api.core.functions.registry import declare
from llm_api.core.functions.types import Origin
from llm_api.core.llm.types import (
    ChatPrompt,
    Finished,
    Message,
    ReasoningDelta,
    Started,
    TextDelta,
    ToolCall,
    ToolCallDelta,
    ToolCallStarted,
    Usage,
)
from tests.fakes import MODEL_ID, FakeBackend, FakeServices, Step, spoken

PATH = "/v1/responses"
WEATHER = {
    "type": "function",
    "name": "weather",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    "strict": False,
}


def response(**fields: object) -> dict[str, object]:
    return {"model": MODEL_ID, "input": "Hi", "store": False, **fields}


def events_of(text: str) -> list[dict[str, Any]]:
    """The events of a stream; each frame names its type twice."""
    events = []
    for block in text.split("\n\n"):
        lines = [line for line in block.splitlines() if not line.startswith(":")]
        if not lines:
            continue
        name, data = lines
        event = json.loads(data.removeprefix("data: "))
        assert name == f"event: {event['type']}"
        events.append(event)
    return events


def called(*calls: tuple[str, str]) -> list[Step]:
    """A script that thinks, speaks and makes these calls, all begun before any goes on."""
    started = [ToolCallStarted(at, f"call_{at}", name) for at, (name, _) in enumerate(calls)]
    deltas = [ToolCallDelta(at, arguments) for at, (_, arguments) in enumerate(calls)]
    said: list[Step] = [ReasoningDelta("Hm."), TextDelta("Let me see.")]
    return [Started(5), *said, *started, *deltas, Finished("tool_calls", Usage(5, 9, 2, 1))]


async def test_a_text_is_answered(client: httpx2.AsyncClient, backend: FakeBackend) -> None:
    answer = (await client.post(PATH, json=response(instructions="Be brief."))).json()
    (message,) = answer["output"]
    assert message["content"][0]["text"] == "Hello world!"
    assert (answer["status"], answer["error"], answer["incomplete_details"]) == (
        "completed",
        None,
        None,
    )
    assert answer["usage"] == {
        "input_tokens": 5,
        "input_tokens_details": {"cached_tokens": 2, "cache_write_tokens": 0},
        "output_tokens": 3,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": 8,
    }
    prompt = backend.requests[0].prompt
    assert isinstance(prompt, ChatPrompt)
    assert prompt.messages == (Message("system", "Be brief."), Message("user", "Hi"))


async def test_a_stream_ends_in_the_response_that_is_sent_whole(
    client: httpx2.AsyncClient, backend: FakeBackend
) -> None:
    backend.script = lambda _: called(("weather", '{"city": "Oslo"}'), ("weather", "{}"))
    asked = response(tools=[WEATHER])
    whole = (await client.post(PATH, json=asked)).json()
    events = events_of((await client.post(PATH, json={**asked, "stream": True})).text)
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    assert [event["type"] for event in events[:2]] == ["response.created", "response.in_progress"]
    assert events[-1]["type"] == "response.completed"
    assert without_ids(events[-1]["response"]) == without_ids(whole)
    kinds = [item["type"] for item in whole["output"]]
    assert kinds == ["reasoning", "message", "function_call", "function_call"]


def without_ids(answer: dict[str, Any]) -> dict[str, Any]:
    """What does not differ between two answers to one request."""
    output = [{**item, "id": ""} for item in answer["output"]]
    return {**answer, "id": "", "output": output, "created_at": 0, "completed_at": 0}


async def test_a_cut_answer_is_incomplete(client: httpx2.AsyncClient, backend: FakeBackend) -> None:
    backend.script = lambda _: spoken("Hel", reason="length")
    answer = (await client.post(PATH, json=response(max_output_tokens=1))).json()
    assert answer["status"] == "incomplete"
    assert answer["incomplete_details"] == {"reason": "max_output_tokens"}
    assert [item["status"] for item in answer["output"]] == ["incomplete"]


async def test_a_stream_that_breaks_off_ends_in_a_failed_response(
    client: httpx2.AsyncClient, backend: FakeBackend
) -> None:
    backend.script = lambda _: [*spoken("Hel")[:-1], GenerationError("Broken.")]
    events = events_of((await client.post(PATH, json=response(stream=True))).text)
    last = events[-1]
    assert last["type"] == "response.failed"
    assert last["response"]["error"] == {"code": "server_error", "message": "Broken."}
    assert last["response"]["output"][0]["content"][0]["text"] == "Hel"
    assert all(not event.get("error") for event in events)


@pytest.mark.parametrize("is_streamed", [True, False])
async def test_what_the_backend_refuses_is_named_as_it_was_sent(
    client: httpx2.AsyncClient, backend: FakeBackend, is_streamed: bool
) -> None:
    backend.script = lambda _: [ContextLengthExceededError("'messages' is long.", param="messages")]
    answer = await client.post(PATH, json=response(stream=is_streamed))
    assert answer.status_code == 400
    assert answer.json()["error"] == {
        "message": "'input' is long.",
        "type": "invalid_request_error",
        "param": "input",
        "code": "context_length_exceeded",
    }


async def test_tools_that_nobody_here_runs_are_named_and_not_offered(
    client: httpx2.AsyncClient, backend: FakeBackend
) -> None:
    tools = [WEATHER, {"type": "web_search", "external_web_access": True}, {"type": "local_shell"}]
    answer = await client.post(PATH, json=response(tools=tools))
    assert answer.headers["x-ignored-tools"] == "web_search, local_shell"
    assert [tool["type"] for tool in answer.json()["tools"]] == ["function"]
    prompt = backend.requests[0].prompt
    assert isinstance(prompt, ChatPrompt)
    assert [tool.name for tool in prompt.tools] == ["weather"]


async def test_what_the_client_called_by_itself_is_shown_as_a_call(
    client: httpx2.AsyncClient, backend: FakeBackend
) -> None:
    """As Codex tells that a goal was set: an output with the tool's name, and no `call_id`."""
    goal = {"type": "function_call_output", "namespace": "agent", "name": "goal", "output": "Win."}
    said = {"role": "user", "content": "Hi"}
    assert (await client.post(PATH, json=response(input=[said, goal]))).status_code == 200
    prompt = backend.requests[0].prompt
    assert isinstance(prompt, ChatPrompt)
    _, called, told = prompt.messages
    assert called.tool_calls == (ToolCall("input[1]", "agent__goal", "{}"),)
    assert told == Message("tool", "Win.", tool_call_id="input[1]")


def refusal(answer: httpx2.Response) -> Sequence[object]:
    error = answer.json()["error"]
    return answer.status_code, error["param"], error["code"]


@pytest.mark.parametrize(
    ("fields", "param", "code"),
    [
        ({"prompt": {"id": "p"}}, "prompt", "unsupported_parameter"),
        ({"tools": [{"type": "telepathy"}]}, "tools[0].type", "unsupported_parameter"),
        ({"tool_choice": "required"}, "tool_choice", "invalid_request"),
        (
            {"tools": [{"type": "web_search"}], "tool_choice": {"type": "web_search"}},
            "tool_choice",
            "invalid_request",
        ),
        ({"input": [{"type": "computer_call"}]}, "input[0].type", "unsupported_parameter"),
        (
            {"input": [{"role": "user", "content": [{"type": "input_image"}]}]},
            "input[0].content[0].type",
            "unsupported_parameter",
        ),
        ({"input": [{"id": "msg_1"}]}, "input[0].id", "invalid_request"),
        (
            {"input": [{"type": "function_call_output", "call_id": "c", "output": "x"}]},
            "input[0].call_id",
            "invalid_request",
        ),
        ({"input": [{"type": "function_call_output", "output": "x"}]}, "input[0].call_id", None),
        (
            {"input": [{"type": "custom_tool_call_output", "name": "f", "output": "x"}]},
            "input[0].call_id",
            None,
        ),
        ({"text": {"format": {"type": "json_schema"}}}, "text.format.name", None),
        ({"stream_options": {}}, "stream_options", "invalid_request"),
        (
            {"tools": [{"type": "custom", "name": "f", "format": {"type": "grammar"}}]},
            "tools[0].format.definition",
            None,
        ),
        (
            {
                "tools": [
                    {
                        "type": "custom",
                        "name": "f",
                        "format": {
                            "type": "grammar",
                            "syntax": "lark",
                            "definition": 'start: "(" start ")"',
                        },
                    }
                ]
            },
            "tools[0].format.definition",
            "invalid_request",
        ),
        ({"include": ["everything"]}, "include[0]", "invalid_value"),
        ({"input": None}, "input", "invalid_request"),
        ({"temprature": 1}, "temprature", "unsupported_parameter"),
    ],
)
async def test_what_is_not_honoured_is_refused_by_name(
    client: httpx2.AsyncClient, fields: dict[str, object], param: str, code: str | None
) -> None:
    answer = await client.post(PATH, json=response(**fields))
    assert refusal(answer) == (400, param, code or "missing_required_parameter")


async def test_prompt_is_counted(client: httpx2.AsyncClient, backend: FakeBackend) -> None:
    backend.script = lambda _: spoken(prompt_tokens=17)
    answer = await client.post(f"{PATH}/input_tokens", json={"model": MODEL_ID, "input": "Hi"})
    assert answer.json() == {"object": "response.input_tokens", "input_tokens": 17}
    assert backend.requests[0].max_tokens == 0


async def test_file_is_read_as_text(client: httpx2.AsyncClient, backend: FakeBackend) -> None:
    data = f"data:text/markdown;base64,{base64.b64encode(b'Rivers: the Danube.').decode()}"
    parts = [
        {"type": "input_text", "text": "Sum up: "},
        {"type": "input_file", "filename": "a.md", "file_data": data},
    ]
    asked = response(input=[{"role": "user", "content": parts}])
    assert (await client.post(PATH, json=asked)).is_success
    assert "Rivers: the Danube." in turns_of(backend)[0].content
    parts[1] = {"type": "input_file", "filename": "a.md", "file_data": "!"}
    answer = await client.post(PATH, json=asked)
    assert refusal(answer) == (400, "input[0].content[1].file_data", "invalid_request")


async def test_encrypted_thought_is_understood_when_it_comes_back(
    client: httpx2.AsyncClient, backend: FakeBackend
) -> None:
    backend.script = lambda _: called()
    answer = await client.post(PATH, json=response(include=["reasoning.encrypted_content"]))
    (thought, *_) = answer.json()["output"]
    sealed = {"type": "reasoning", "encrypted_content": thought["encrypted_content"]}
    question = {"role": "user", "content": "Hi"}
    again = response(input=[question, sealed, question])
    assert (await client.post(PATH, json=again)).is_success
    assert turns_of(backend)[1].reasoning == "Hm."
    sealed["encrypted_content"] = "nonsense"
    assert refusal(await client.post(PATH, json=again)) == (
        400,
        "input[1].encrypted_content",
        "invalid_request",
    )


async def test_thought_is_shown_as_a_summary_where_one_is_asked_for(
    client: httpx2.AsyncClient, backend: FakeBackend
) -> None:
    backend.script = lambda _: called()
    answer = await client.post(PATH, json=response(reasoning={"summary": "auto"}))
    thought = answer.json()["output"][0]
    assert thought["summary"] == [{"type": "summary_text", "text": "Hm."}]
    assert "content" not in thought


async def test_answer_says_what_was_left_out_of_a_conversation_that_is_too_long(
    client: httpx2.AsyncClient, backend: FakeBackend
) -> None:
    long = {"role": "user", "content": "word " * 3000, "id": "msg_long"}
    asked = response(input=[long, {"role": "user", "content": "Hi"}], instructions="Be brief.")
    answer = (await client.post(PATH, json={**asked, "truncation": "auto"})).json()
    assert answer["omitted_items"] == [{"type": "message", "id": "msg_long"}]
    assert [turn.content for turn in turns_of(backend)] == ["Be brief.", "Hi"]
    assert "omitted_items" not in (await client.post(PATH, json=asked)).json()


async def test_function_of_the_server_is_run_and_shown(
    client: httpx2.AsyncClient, backend: FakeBackend, services: FakeServices
) -> None:
    declared = declare(get_weekday, timeout_seconds=2)
    weekday = PythonFunction(declared, Origin("file", "dates.py"), FunctionThreads())
    services.functions.catalog.add(weekday)
    call = called(("get_weekday", '{"date": "2026-11-30"}'))
    backend.script = lambda _: call if len(backend.requests) % 2 else spoken("Monday.")
    tools = [{"type": "llm_api", "name": "get_weekday"}]
    whole = (await client.post(PATH, json=response(tools=tools))).json()
    ran = next(item for item in whole["output"] if item["type"] == "mcp_call")
    assert (ran["server_label"], ran["status"], ran["error"]) == ("llm_api", "completed", None)
    assert "Monday" in ran["output"]
    events = events_of((await client.post(PATH, json=response(tools=tools, stream=True))).text)
    assert without_ids(events[-1]["response"]) == without_ids(whole)
    assert (await client.post(PATH, json=response(tools=tools, max_tool_calls=0))).is_success
    assert tools_of(backend) == []


async def test_calls_come_back_under_the_names_that_tools_were_given(
    client: httpx2.AsyncClient, backend: FakeBackend
) -> None:
    inner = {"type": "function", "name": "read", "parameters": {}}
    tools = [
        {"type": "function", "function": {"name": "nested", "parameters": {}}},
        {"type": "namespace", "name": "files", "description": "Files.", "tools": [inner]},
        {"type": "custom", "name": "shout"},
    ]
    backend.script = lambda _: called(
        ("nested", "{}"), ("files__read", "{}"), ("shout", '{"input": "Hey"}')
    )
    answer = (await client.post(PATH, json=response(tools=tools))).json()
    assert tools_of(backend) == ["nested", "files__read", "shout"]
    nested, read, shout = answer["output"][-3:]
    assert (nested["name"], "namespace" in nested) == ("nested", False)
    assert (read["name"], read["namespace"]) == ("read", "files")
    assert (shout["type"], shout["input"]) == ("custom_tool_call", "Hey")
    output = {"type": "custom_tool_call_output", "call_id": shout["call_id"], "output": "done"}
    again = response(input=[{"role": "user", "content": "Hi"}, *answer["output"], output])
    assert (await client.post(PATH, json=again)).is_success
    assert [call.name for call in turns_of(backend)[1].tool_calls] == [
        "nested",
        "files__read",
        "shout",
    ]


def turns_of(backend: FakeBackend) -> Sequence[Message]:
    """What the model was shown last."""
    prompt = backend.requests[-1].prompt
    assert isinstance(prompt, ChatPrompt)
    return prompt.messages


def tools_of(backend: FakeBackend) -> list[str]:
    """The tools that it was offered last."""
    prompt = backend.requests[-1].prompt
    assert isinstance(prompt, ChatPrompt)
    return [tool.name for tool in prompt.tools]
