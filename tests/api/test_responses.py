"""`POST /v1/responses` over a scripted backend: whole, streamed, refused."""

import json
from collections.abc import Sequence
from typing import Any

import httpx2
import pytest

from llm_api.core.errors import ContextLengthExceededError, GenerationError
from llm_api.core.llm.types import (
    ChatPrompt,
    Finished,
    Message,
    ReasoningDelta,
    Started,
    TextDelta,
    ToolCallDelta,
    ToolCallStarted,
    Usage,
)
from tests.fakes import MODEL_ID, FakeBackend, Step, spoken

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
        ({"text": {"format": {"type": "json_schema"}}}, "text.format.name", None),
        ({"stream_options": {}}, "stream_options", "invalid_request"),
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
