"""Ollama's chats and prompts over HTTP: lines, wholes, what is ignored, errors."""

import json
from datetime import datetime
from typing import Any

import httpx2
import pytest

from llm_api.core.errors import GenerationError
from llm_api.core.llm.types import (
    Finished,
    ReasoningDelta,
    Started,
    TextDelta,
    Timings,
    ToolCallDelta,
    ToolCallStarted,
    Usage,
)
from tests.fakes import MODEL_ID, FakeBackend, sampled, spoken

CHAT, GENERATE = "/api/chat", "/api/generate"
HELLO = {"role": "user", "content": "Hi"}
COUNTS = Finished("stop", Usage(5, 3), Timings(0.25, 0.5, 1.5))


def chat(**given: object) -> dict[str, object]:
    return {"model": MODEL_ID, "messages": [HELLO], **given}


async def lines(
    client: httpx2.AsyncClient, body: dict[str, object], path: str = CHAT
) -> list[dict[str, Any]]:
    answer = await client.post(path, json=body)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/x-ndjson"
    return [json.loads(line) for line in answer.text.splitlines()]


async def whole(
    client: httpx2.AsyncClient, body: dict[str, object], path: str = CHAT
) -> dict[str, Any]:
    answer = await client.post(path, json={**body, "stream": False})
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def test_a_stream_is_lines_of_text_and_one_with_the_counts(
    client: httpx2.AsyncClient, backend: FakeBackend
) -> None:
    backend.script = lambda _: [Started(5), TextDelta("Hel"), TextDelta("lo"), COUNTS]
    *said, last = await lines(client, chat())
    assert [one["message"] for one in said] == [
        {"role": "assistant", "content": "Hel"},
        {"role": "assistant", "content": "lo"},
    ]
    assert all(one["done"] is False and "done_reason" not in one for one in said)
    assert {one["model"] for one in (*said, last)} == {MODEL_ID}
    assert last["created_at"].endswith("Z")
    assert datetime.fromisoformat(last["created_at"]).tzinfo is not None
    assert last["message"] == {"role": "assistant", "content": ""}
    assert (last["done"], last["done_reason"]) == (True, "stop")
    assert (last["prompt_eval_count"], last["eval_count"]) == (5, 3)
    assert last["load_duration"] == 250_000_000
    assert last["prompt_eval_duration"] == 500_000_000
    assert last["eval_duration"] == 1_500_000_000
    assert last["total_duration"] > 0


async def test_a_whole_answer_says_the_same_at_once(
    client: httpx2.AsyncClient, backend: FakeBackend
) -> None:
    backend.script = lambda _: spoken("Hel", "lo", reason="length")
    answer = await whole(client, chat())
    assert answer["message"] == {"role": "assistant", "content": "Hello"}
    assert (answer["done"], answer["done_reason"], answer["eval_count"]) == (True, "length", 2)


async def test_a_prompt_is_answered_in_its_own_form(client: httpx2.AsyncClient) -> None:
    body: dict[str, object] = {"model": MODEL_ID, "prompt": "Hi"}
    streamed = await lines(client, body, GENERATE)
    assert "".join(one["response"] for one in streamed) == "Hello world!"
    answer = await whole(client, body, GENERATE)
    assert (answer["response"], answer["done"]) == ("Hello world!", True)
    assert "message" not in answer


async def test_thinking_stands_in_a_field_of_its_own(
    client: httpx2.AsyncClient, backend: FakeBackend
) -> None:
    backend.script = lambda _: [Started(1), ReasoningDelta("hm"), TextDelta("Yes"), COUNTS]
    first, second, _ = await lines(client, chat(think=True))
    assert first["message"] == {"role": "assistant", "content": "", "thinking": "hm"}
    assert second["message"] == {"role": "assistant", "content": "Yes"}
    assert (await whole(client, chat(think=True)))["message"]["thinking"] == "hm"


async def test_calls_come_whole_with_arguments_as_objects(
    client: httpx2.AsyncClient, backend: FakeBackend
) -> None:
    backend.script = lambda _: [
        Started(1),
        ToolCallStarted(0, "call_a", "weather"),
        ToolCallDelta(0, '{"city": '),
        ToolCallDelta(0, '"Oslo"}'),
        ToolCallStarted(1, "call_b", "time"),
        ToolCallDelta(1, "{}"),
        Finished("tool_calls", Usage(1, 2)),
    ]
    weather = {
        "id": "call_a",
        "function": {"index": 0, "name": "weather", "arguments": {"city": "Oslo"}},
    }
    time = {"id": "call_b", "function": {"index": 1, "name": "time", "arguments": {}}}
    first, second, last = await lines(client, chat())
    assert first["message"]["tool_calls"] == [weather]
    assert second["message"]["tool_calls"] == [time]
    assert (last["done_reason"], "tool_calls" in last["message"]) == ("stop", False)
    assert (await whole(client, chat()))["message"]["tool_calls"] == [weather, time]


async def test_logprobs_go_with_their_text(
    client: httpx2.AsyncClient, backend: FakeBackend
) -> None:
    token = sampled(b"Hi", -0.5, (b"Ho", -1.5))
    backend.script = lambda _: [Started(1), TextDelta("Hi", (token,)), COUNTS]
    body = chat(logprobs=True, top_logprobs=2)
    first, _ = await lines(client, body)
    [logprob] = first["logprobs"]
    assert (logprob["token"], logprob["logprob"], logprob["bytes"]) == ("Hi", -0.5, [72, 105])
    assert [one["token"] for one in logprob["top_logprobs"]] == ["Hi", "Ho"]
    assert (await whole(client, body))["logprobs"] == [logprob]
    assert backend.requests[0].top_logprobs == 2
    assert "logprobs" not in (await whole(client, chat()))


@pytest.mark.parametrize("body", [{"messages": []}, {"prompt": ""}, {}])
async def test_without_a_prompt_the_model_is_loaded(
    client: httpx2.AsyncClient, backend: FakeBackend, body: dict[str, object]
) -> None:
    path = CHAT if "messages" in body else GENERATE
    answer = await client.post(path, json={"model": MODEL_ID, **body})
    assert (answer.json()["done"], answer.json()["done_reason"]) == (True, "load")
    assert not backend.requests


async def test_what_cannot_change_an_answer_is_named(client: httpx2.AsyncClient) -> None:
    options = {"num_ctx": 32768, "num_gpu": 99, "tfs_z": None, "num_thread": 4, "sparkle": 1}
    answer = await client.post(CHAT, json=chat(options=options, truncate=True, surprise="x"))
    assert answer.status_code == 200
    named = answer.headers["x-ignored-parameters"].split(", ")
    assert sorted(named) == ["num_ctx", "num_gpu", "num_thread", "sparkle", "surprise", "truncate"]


async def test_curl_sends_json_under_another_name_and_a_web_page_must_not(
    client: httpx2.AsyncClient,
) -> None:
    body = json.dumps(chat(stream=False))
    form = {"content-type": "application/x-www-form-urlencoded"}
    assert (await client.post(CHAT, content=body, headers=form)).status_code == 200
    page = {**form, "origin": "http://localhost"}
    assert (await client.post(CHAT, content=body, headers=page)).status_code == 415


async def test_a_failure_in_mid_stream_is_the_last_line(
    client: httpx2.AsyncClient, backend: FakeBackend
) -> None:
    backend.script = lambda _: [*spoken("a")[:-1], GenerationError("The engine failed.")]
    *_, last = await lines(client, chat())
    assert last == {"error": "The engine failed."}


async def test_a_stream_without_an_end_is_no_success(
    client: httpx2.AsyncClient, backend: FakeBackend
) -> None:
    backend.script = lambda _: spoken("a")[:-1]
    *_, last = await lines(client, chat())
    assert "error" in last
