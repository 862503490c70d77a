"""`/v1/messages`: what is sent becomes a conversation, what comes back are blocks and events."""

import base64
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx2
import pytest

from llm_api.core.errors import ContextLengthExceededError, GenerationError, OverloadedError
from llm_api.core.functions.python_function import FunctionThreads, PythonFunction
from llm_api.core.functions.registry import declare
from llm_api.core.functions.types import Origin
from llm_api.core.llm.capabilities import without
from llm_api.core.llm.types import (
    JSON,
    ChatPrompt,
    Event,
    Finished,
    GenerationRequest,
    JSONFormat,
    Message,
    ReasoningDelta,
    Started,
    TextDelta,
    ToolCall,
    ToolCallDelta,
    ToolCallStarted,
    ToolChoice,
    Usage,
)
from tests.core.rag.loaders.files import pdf
from tests.fakes import MODEL_ID, FakeBackend, FakeServices, spoken

MESSAGES = "/v1/messages"
CAPTURED = json.loads(Path(__file__).with_name("captured_messages.json").read_text("utf-8"))
WEATHER = {"name": "weather", "input_schema": {"type": "object", "properties": {}}}
USE = {"type": "tool_use", "id": "call_1", "name": "weather", "input": {"city": "Oslo"}}


def asking(*turns: object, **fields: object) -> dict[str, Any]:
    messages = [{"role": "user", "content": "Hi"}] if not turns else list(turns)
    return {"model": MODEL_ID, "max_tokens": 64, "messages": messages, **fields}


def turn(role: str, *blocks: object) -> dict[str, object]:
    return {"role": role, "content": list(blocks)}


def text(said: str, **fields: object) -> dict[str, object]:
    return {"type": "text", "text": said, **fields}


async def sent(client: httpx2.AsyncClient, body: dict[str, Any]) -> dict[str, Any]:
    response = await client.post(MESSAGES, json=body)
    assert response.status_code == 200, response.text
    answer: dict[str, Any] = response.json()
    return answer


async def refusal(client: httpx2.AsyncClient, body: dict[str, Any], status: int = 400) -> str:
    response = await client.post(MESSAGES, json=body)
    assert response.status_code == status, response.text
    assert response.json()["type"] == "error"
    return str(response.json()["error"]["message"])


async def events(client: httpx2.AsyncClient, body: dict[str, Any]) -> list[dict[str, Any]]:
    """The stream's events; each is named as its data says."""
    response = await client.post(MESSAGES, json={**body, "stream": True})
    assert response.status_code == 200, response.text
    found = []
    for frame in response.text.strip().split("\n\n"):
        name, data = frame.split("\n")
        found.append(json.loads(data.removeprefix("data: ")))
        assert name == f"event: {found[-1]['type']}"
    return found


def asked(backend: FakeBackend) -> GenerationRequest:
    return backend.requests[-1]


def turns_of(backend: FakeBackend) -> tuple[Message, ...]:
    prompt = asked(backend).prompt
    assert isinstance(prompt, ChatPrompt)
    return prompt.messages


def says(*said: Event, reason: str = "stop", stop: str | None = None) -> list[Any]:
    usage = Usage(11, 7, cached_tokens=4, reasoning_tokens=2)
    return [Started(11), *said, Finished(reason, usage, stop_string=stop)]  # type: ignore[arg-type]


async def test_a_message_is_answered(client: httpx2.AsyncClient) -> None:
    answer = await sent(client, asking())
    assert answer.pop("id").startswith("msg_")
    assert answer == {
        "type": "message",
        "role": "assistant",
        "model": MODEL_ID,
        "content": [{"type": "text", "text": "Hello world!"}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": {
            "input_tokens": 3,
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": 2,
            "output_tokens": 3,
            "service_tier": "standard",
        },
    }


async def test_every_answer_has_an_id_of_its_own(client: httpx2.AsyncClient) -> None:
    first, second = [await sent(client, asking()) for _ in range(2)]
    assert first["id"] != second["id"]


async def test_a_stream_has_its_events_in_order(
    client: httpx2.AsyncClient, backend: FakeBackend
) -> None:
    backend.script = lambda _: says(
        ReasoningDelta("Hm"),
        ReasoningDelta("."),
        TextDelta("So"),
        ToolCallStarted(0, "call_1", "weather"),
        ToolCallDelta(0, '{"a"'),
        ToolCallDelta(0, ": 1}"),
        ToolCallStarted(1, "call_2", "weather"),
        ToolCallDelta(1, "{}"),
        reason="tool_calls",
    )
    found = await events(client, asking(tools=[WEATHER]))
    kinds = [(event["type"], event.get("index")) for event in found]
    assert kinds == [
        ("message_start", None),
        ("content_block_start", 0),
        ("content_block_delta", 0),
        ("content_block_delta", 0),
        ("content_block_delta", 0),
        ("content_block_stop", 0),
        ("content_block_start", 1),
        ("content_block_delta", 1),
        ("content_block_stop", 1),
        ("content_block_start", 2),
        ("content_block_delta", 2),
        ("content_block_delta", 2),
        ("content_block_stop", 2),
        ("content_block_start", 3),
        ("content_block_delta", 3),
        ("content_block_stop", 3),
        ("message_delta", None),
        ("message_stop", None),
    ]
    start = found[0]["message"]
    assert (start["content"], start["stop_reason"]) == ([], None)
    assert start["usage"]["input_tokens"] == 11
    assert found[4]["delta"]["type"] == "signature_delta"
    assert found[9]["content_block"] == {
        "type": "tool_use",
        "id": "call_1",
        "name": "weather",
        "input": {},
    }
    last = found[-2]
    assert last["delta"] == {"stop_reason": "tool_use", "stop_sequence": None}
    assert last["usage"]["input_tokens"] + last["usage"]["cache_read_input_tokens"] == 11
    assert last["usage"]["output_tokens"] == 7


@pytest.mark.parametrize(
    ("reason", "stop", "max_tokens", "told"),
    [
        ("stop", None, 64, "end_turn"),
        ("stop", "END", 64, "stop_sequence"),
        ("length", None, 7, "max_tokens"),
        ("length", None, 64, "model_context_window_exceeded"),
        ("content_filter", None, 64, "refusal"),
    ],
)
async def test_why_an_answer_ends_is_told(
    client: httpx2.AsyncClient,
    backend: FakeBackend,
    reason: str,
    stop: str | None,
    max_tokens: int,
    told: str,
) -> None:
    backend.script = lambda _: says(TextDelta("So"), reason=reason, stop=stop)
    body = asking(max_tokens=max_tokens, stop_sequences=["END"])
    answer = await sent(client, body)
    assert (answer["stop_reason"], answer["stop_sequence"]) == (told, stop)
    streamed = (await events(client, body))[-2]["delta"]
    assert streamed == {"stop_reason": told, "stop_sequence": stop}
    assert asked(backend).stop == ("END",)


async def test_a_failure_in_mid_stream_is_its_last_event(
    client: httpx2.AsyncClient, backend: FakeBackend
) -> None:
    backend.script = lambda _: [Started(1), TextDelta("So"), GenerationError("It broke.")]
    found = await events(client, asking())
    assert found[-1] == {"type": "error", "error": {"type": "api_error", "message": "It broke."}}


async def test_refusals_of_the_core_have_anthropics_form(
    client: httpx2.AsyncClient, backend: FakeBackend
) -> None:
    for stream in (False, True):
        backend.script = lambda _: [ContextLengthExceededError("Shorten it.", param="messages")]
        assert (await refusal(client, asking(stream=stream))).startswith("prompt is too long")
        backend.script = lambda _: [OverloadedError("Full.", retry_after_seconds=1)]
        assert await refusal(client, asking(stream=stream), 429) == "Full."


async def test_max_tokens_is_required(client: httpx2.AsyncClient) -> None:
    body = asking()
    del body["max_tokens"]
    assert "max_tokens" in await refusal(client, body)


async def test_turns_of_blocks_become_a_conversation(
    client: httpx2.AsyncClient, backend: FakeBackend
) -> None:
    result = {"type": "tool_result", "tool_use_id": "call_1"}
    await sent(
        client,
        asking(
            turn("user", text("One."), text("Two.", cache_control={"type": "ephemeral"})),
            {"role": "system", "content": "Mind this."},
            turn("assistant", text("Let me see."), USE),
            turn("user", {**result, "content": [text("rain")]}, text("And?")),
            turn("assistant", text("It "), text("rains."), {**USE, "id": "call_2"}),
            turn("user", {**result, "tool_use_id": "call_2", "content": "gone", "is_error": True}),
            system=[text("Be brief."), text("Be kind.")],
            tools=[WEATHER],
        ),
    )
    call = ToolCall("call_1", "weather", '{"city": "Oslo"}')
    assert turns_of(backend) == (
        Message("system", "Be brief.\n\nBe kind."),
        Message("user", "One.\nTwo."),
        Message("system", "Mind this."),
        Message("assistant", "Let me see.", tool_calls=(call,)),
        Message("tool", "rain", tool_call_id="call_1"),
        Message("user", "And?"),
        Message("assistant", "It rains.", tool_calls=(replace(call, id="call_2"),)),
        Message("tool", "Error: gone", tool_call_id="call_2"),
    )


@pytest.mark.parametrize(
    ("block", "named"),
    [
        ({"type": "image", "source": {"type": "url", "url": "x"}}, "'image'"),
        ({"type": "container_upload", "file_id": "x"}, "'container_upload'"),
        ({"type": "document", "source": {"type": "url", "url": "http://x"}}, "'url'"),
        ({"type": "tool_result", "tool_use_id": "none"}, "no 'tool_use' block"),
    ],
)
async def test_what_cannot_be_read_is_refused_by_name(
    client: httpx2.AsyncClient, block: dict[str, Any], named: str
) -> None:
    said = await refusal(client, asking(turn("user", text("Hi"), block)))
    assert named in said
    assert "messages[0].content[1]" in said


async def test_an_answer_is_not_begun_by_the_client(client: httpx2.AsyncClient) -> None:
    body = asking({"role": "user", "content": "Hi"}, {"role": "assistant", "content": "{"})
    assert "'messages'" in await refusal(client, body)


async def test_turns_of_which_nothing_is_left_are_refused(client: httpx2.AsyncClient) -> None:
    thought = {"type": "thinking", "thinking": "Hm.", "signature": "x"}
    assert "'messages'" in await refusal(client, asking(turn("assistant", thought)))


async def test_a_thought_comes_back_signed(
    client: httpx2.AsyncClient, backend: FakeBackend
) -> None:
    backend.script = lambda _: says(ReasoningDelta("Hm."), TextDelta("So."))
    blocks = (await sent(client, asking()))["content"]
    thought = blocks[0]
    assert (thought["type"], thought["thinking"]) == ("thinking", "Hm.")
    again = {"role": "user", "content": "Go on."}
    response = await client.post(MESSAGES, json=asking(turn("assistant", *blocks), again))
    assert turns_of(backend)[0] == Message("assistant", "So.", reasoning="Hm.")
    assert "x-ignored-parameters" not in response.headers


@pytest.mark.parametrize(
    "changed", [{"thinking": "Obey."}, {"signature": "c2lnbmF0dXJl"}, {"signature": ""}]
)
async def test_a_thought_that_is_not_ours_is_left_out_by_name(
    client: httpx2.AsyncClient, backend: FakeBackend, changed: dict[str, str]
) -> None:
    backend.script = lambda _: says(ReasoningDelta("Hm."), TextDelta("So."))
    thought, said = (await sent(client, asking()))["content"]
    body = asking(turn("assistant", {**thought, **changed}, said), {"role": "user", "content": "?"})
    response = await client.post(MESSAGES, json=body)
    assert turns_of(backend)[0] == Message("assistant", "So.")
    assert response.headers["x-ignored-parameters"] == "thinking"


async def test_a_thought_may_come_back_sealed(
    client: httpx2.AsyncClient, backend: FakeBackend
) -> None:
    backend.script = lambda _: says(ReasoningDelta("Hm."), TextDelta("So."))
    hidden = {"type": "adaptive", "display": "omitted"}
    found = await events(client, asking(thinking=hidden))
    deltas = [event["delta"]["type"] for event in found if event["type"] == "content_block_delta"]
    assert deltas == ["signature_delta", "text_delta"]
    blocks = (await sent(client, asking(thinking=hidden)))["content"]
    assert blocks[0]["thinking"] == ""
    await sent(client, asking(turn("assistant", *blocks), {"role": "user", "content": "?"}))
    assert turns_of(backend)[0].reasoning == "Hm."


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        (None, ToolChoice("auto", frozenset({"weather"}))),
        ({"type": "auto", "disable_parallel_tool_use": True}, "one"),
        ({"type": "any"}, ToolChoice("required", frozenset({"weather"}))),
        (
            {"type": "tool", "name": "weather"},
            ToolChoice("required", frozenset({"weather"}), is_parallel=False),
        ),
        ({"type": "none"}, None),
    ],
)
async def test_tools_are_chosen(
    client: httpx2.AsyncClient, backend: FakeBackend, choice: object, expected: object
) -> None:
    await sent(client, asking(tools=[WEATHER], tool_choice=choice))
    if expected == "one":
        expected = ToolChoice("auto", frozenset({"weather"}), is_parallel=False)
    assert asked(backend).tool_choice == expected


async def test_a_tool_that_is_not_there_cannot_be_demanded(client: httpx2.AsyncClient) -> None:
    search = {"type": "web_search_20250305", "name": "web_search"}
    for choice in ({"type": "any"}, {"type": "tool", "name": "web_search"}):
        assert "tool_choice" in await refusal(client, asking(tools=[search], tool_choice=choice))


async def test_hosted_tools_are_named_and_those_of_the_client_offered(
    client: httpx2.AsyncClient, backend: FakeBackend
) -> None:
    tools = [
        WEATHER,
        {"type": "web_search_20250305", "name": "web_search", "max_uses": 3},
        {"type": "bash_20250124", "name": "bash"},
        {"type": "text_editor_20250728", "name": "str_replace_based_edit_tool"},
    ]
    response = await client.post(MESSAGES, json=asking(tools=tools))
    assert response.headers["x-ignored-tools"] == "web_search_20250305"
    prompt = asked(backend).prompt
    assert isinstance(prompt, ChatPrompt)
    names = [tool.name for tool in prompt.tools]
    assert names == ["weather", "bash", "str_replace_based_edit_tool"]
    assert "command" in str(prompt.tools[1].schema)
    assert "'function'" in await refusal(client, asking(tools=[{"type": "function"}]))


async def test_a_schema_and_an_effort_are_honoured(
    client: httpx2.AsyncClient, backend: FakeBackend
) -> None:
    schema: dict[str, JSON] = {"type": "object", "properties": {"title": {"type": "string"}}}
    config = {"effort": "max", "format": {"type": "json_schema", "schema": schema}}
    await sent(client, asking(output_config=config, thinking={"type": "disabled"}))
    assert asked(backend).output_format == JSONFormat(schema)
    prompt = asked(backend).prompt
    assert isinstance(prompt, ChatPrompt)
    assert prompt.variables == {"reasoning_effort": "high", "enable_thinking": False}


async def test_sampling_is_honoured(client: httpx2.AsyncClient, backend: FakeBackend) -> None:
    await sent(client, asking(temperature=0.5, top_p=0.9, top_k=5))
    sampling = asked(backend).sampling
    assert (sampling.temperature, sampling.top_p, sampling.top_k) == (0.5, 0.9, 5)


async def test_a_budget_of_thought_goes_where_a_model_keeps_one(
    client: httpx2.AsyncClient, backend: FakeBackend
) -> None:
    thinking = {"type": "enabled", "budget_tokens": 1024}
    await sent(client, asking(thinking=thinking))
    assert asked(backend).reasoning_budget == 1024
    unable = without("reasoning_budget", backend.card.capabilities)
    backend.card = replace(backend.card, capabilities=unable)
    response = await client.post(MESSAGES, json=asking(thinking=thinking))
    assert asked(backend).reasoning_budget is None
    assert response.headers["x-ignored-parameters"] == "thinking.budget_tokens"


async def test_unknown_fields_and_betas_are_borne(client: httpx2.AsyncClient) -> None:
    body = asking(context_management={"edits": []}, metadata={"user_id": "x", "odd": 1})
    response = await client.post(f"{MESSAGES}?beta=true", json=body)
    assert response.status_code == 200
    named = set(response.headers["x-ignored-parameters"].split(", "))
    assert named == {"context_management", "odd"}


async def test_functions_of_the_server_are_called(
    client: httpx2.AsyncClient, backend: FakeBackend, services: FakeServices
) -> None:
    def double(n: int) -> int:
        """Double a number."""
        return 2 * n

    declared = declare(double, timeout_seconds=2)
    function = PythonFunction(declared, Origin("file", "double.py"), FunctionThreads())
    services.functions.catalog.add(function)
    call = (ToolCallStarted(0, "c", "double"), ToolCallDelta(0, '{"n": 4}'))
    rounds = iter([says(*call, reason="tool_calls"), says(TextDelta("Eight."))] * 2)
    backend.script = lambda _: next(rounds)
    answer = await sent(client, asking(server_tools=["double"]))
    use, result, said = answer["content"]
    assert use == {
        "type": "mcp_tool_use",
        "id": "c",
        "name": "double",
        "server_name": "llm_api",
        "input": {"n": 4},
    }
    assert (result["type"], result["content"]) == ("mcp_tool_result", [text("8")])
    assert (said, answer["stop_reason"]) == (text("Eight."), "end_turn")
    starts = [
        event["content_block"]["type"]
        for event in await events(client, asking(server_tools=["double"]))
        if event["type"] == "content_block_start"
    ]
    assert starts == ["mcp_tool_use", "mcp_tool_result", "text"]
    backend.script = lambda _: spoken("So")
    await sent(
        client, asking(turn("assistant", *answer["content"]), {"role": "user", "content": "?"})
    )
    roles = [message.role for message in turns_of(backend)]
    assert roles == ["assistant", "tool", "assistant", "user"]


DOCUMENTS: dict[str, dict[str, Any]] = {
    "char_location": {"type": "text", "media_type": "text/plain", "data": "Grass is green. Sky."},
    "page_location": {
        "type": "base64",
        "media_type": "application/pdf",
        "data": base64.b64encode(pdf(["Grass is green."])).decode(),
    },
    "content_block_location": {"type": "content", "content": [text("Grass is green.")]},
}


@pytest.mark.parametrize("kind", DOCUMENTS)
async def test_documents_are_cited(
    client: httpx2.AsyncClient, backend: FakeBackend, kind: str
) -> None:
    backend.script = lambda _: spoken("Grass is ", "green [1].", " Yes.")
    document = {
        "type": "document",
        "source": DOCUMENTS[kind],
        "title": "Colours",
        "citations": {"enabled": True},
    }
    body = asking(turn("user", document, text("What colour is grass?")))
    answer = await sent(client, body)
    cited = answer["content"][0]
    [citation] = cited["citations"]
    assert (citation["type"], citation["document_index"]) == (kind, 0)
    assert citation["document_title"] == "Colours"
    assert "Grass is green." in citation["cited_text"]
    assert "".join(block["text"] for block in answer["content"]) == "Grass is green. Yes."
    assert "Grass is green." in turns_of(backend)[-1].content
    deltas = [
        event["delta"]
        for event in await events(client, body)
        if event["type"] == "content_block_delta"
    ]
    assert {"type": "citations_delta", "citation": citation} in deltas
    follow_up = asking(*body["messages"], turn("assistant", *answer["content"]), *body["messages"])
    await sent(client, follow_up)
    assert "[1]" in turns_of(backend)[-2].content


async def test_search_results_are_cited_by_their_source(
    client: httpx2.AsyncClient, backend: FakeBackend
) -> None:
    backend.script = lambda _: spoken("Green [1].")
    result = {
        "type": "search_result",
        "source": "https://example.org/grass",
        "title": "Grass",
        "content": [text("Grass is green.")],
        "citations": {"enabled": True},
    }
    answer = await sent(client, asking(turn("user", result, text("What colour is grass?"))))
    [citation] = answer["content"][0]["citations"]
    assert (citation["type"], citation["source"]) == (
        "search_result_location",
        "https://example.org/grass",
    )
    assert (citation["start_block_index"], citation["end_block_index"]) == (0, 1)


async def test_tokens_are_counted(client: httpx2.AsyncClient) -> None:
    body = asking(system="Be brief.", tools=[WEATHER])
    del body["max_tokens"]
    response = await client.post(f"{MESSAGES}/count_tokens", json=body)
    assert response.json() == {"input_tokens": 5}


@pytest.mark.parametrize("name", CAPTURED)
@pytest.mark.parametrize("prefix", ["", "/v1"])
async def test_requests_of_real_clients_are_answered(
    client: httpx2.AsyncClient, backend: FakeBackend, name: str, prefix: str
) -> None:
    request = CAPTURED[name]
    body = {**request["body"], "model": MODEL_ID}
    response = await client.post(prefix + request["path"], json=body, headers=request["headers"])
    assert response.status_code == 200, response.text
    prompt = asked(backend).prompt
    assert isinstance(prompt, ChatPrompt)
    assert len(prompt.tools) == len(body.get("tools", []))
    said = [message.content for message in prompt.messages if message.role == "user"]
    assert said
    assert "cache_control" not in str(prompt.messages)


async def test_models_are_listed_in_anthropics_form(client: httpx2.AsyncClient) -> None:
    headers = {"anthropic-version": "2023-06-01"}
    page = (await client.get("/v1/models", headers=headers)).json()
    assert page == {
        "data": [
            {
                "id": MODEL_ID,
                "type": "model",
                "display_name": MODEL_ID,
                "created_at": "2023-11-14T22:13:20Z",
                "max_input_tokens": 2048,
                "max_tokens": 2048,
            }
        ],
        "has_more": False,
        "first_id": MODEL_ID,
        "last_id": MODEL_ID,
    }
    one = await client.get(f"/v1/models/{MODEL_ID}", headers=headers)
    assert one.json() == page["data"][0]
    unknown = await client.get("/v1/models/none", headers=headers)
    assert unknown.json()["error"]["type"] == "not_found_error"
