"""MCP servers that a request for a response names: listed, called, and asked for leave."""

import json
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import httpx2
import pytest

from llm_api.api.responding import mcp_tools
from llm_api.core.llm.types import Message
from tests.api.openai_schemas import check, check_event
from tests.api.test_responses import PATH, called, events_of, refusal, response, turns_of
from tests.core.functions.mcp_fakes import AUTHORIZATION, free_port, serving_peer
from tests.fakes import MODEL_ID, FakeBackend, FakeServices, spoken
from tests.live import PATIENCE_SECONDS

ADD = ("peer__add", '{"a": 2, "b": 3}')


@pytest.fixture(scope="module")
def peer_url() -> Iterator[str]:
    with serving_peer(free_port()) as url:
        yield url


def mcp(url: str, **fields: object) -> dict[str, Any]:
    return {
        "type": "mcp",
        "server_label": "peer",
        "server_url": url,
        "headers": AUTHORIZATION,
        "allowed_tools": ["add", "fail"],
        **fields,
    }


@pytest.fixture
def url(peer_url: str, services: FakeServices) -> str:
    services.mcp_allowed_urls = (peer_url,)
    return peer_url


async def test_tool_of_an_mcp_server_is_called(
    client: httpx2.AsyncClient, backend: FakeBackend, url: str
) -> None:
    backend.script = lambda _: called(ADD) if len(backend.requests) % 2 else spoken("Five.")
    asked = response(tools=[mcp(url, require_approval="never")])
    whole = (await client.post(PATH, json=asked)).json()
    check("Response", whole)
    listing, *_, call, message = whole["output"]
    assert [tool["name"] for tool in listing["tools"]] == ["add", "fail"]
    assert (call["server_label"], call["name"], call["status"]) == ("peer", "add", "completed")
    assert '"sum":5' in call["output"].replace(" ", "")
    assert message["content"][0]["text"] == "Five."
    assert "headers" not in whole["tools"][0]
    events = events_of((await client.post(PATH, json={**asked, "stream": True})).text)
    for event in events:
        check_event(event)
    assert [item["type"] for item in events[-1]["response"]["output"]] == [
        item["type"] for item in whole["output"]
    ]
    again = response(input=[{"role": "user", "content": "Hi"}, *whole["output"]])
    assert (await client.post(PATH, json=again)).is_success
    assert [turn.role for turn in turns_of(backend)] == ["user", "assistant", "tool", "assistant"]


@pytest.mark.parametrize("may", [True, False])
async def test_call_waits_for_leave(
    client: httpx2.AsyncClient, backend: FakeBackend, url: str, may: bool
) -> None:
    backend.script = lambda _: called(ADD)
    first = (await client.post(PATH, json=response(store=True, tools=[mcp(url)]))).json()
    check("Response", first)
    request = first["output"][-1]
    assert (request["type"], request["name"], request["arguments"]) == (
        "mcp_approval_request",
        "add",
        ADD[1],
    )
    backend.script = lambda _: spoken("Done.")
    leave = {
        "type": "mcp_approval_response",
        "approval_request_id": request["id"],
        "approve": may,
    }
    asked = response(store=True, tools=[mcp(url)], input=[leave], previous_response_id=first["id"])
    second = (await client.post(PATH, json=asked)).json()
    calls = [item for item in second["output"] if item["type"] == "mcp_call"]
    assert [one["approval_request_id"] for one in calls] == [request["id"]] * may
    result: Message = turns_of(backend)[-1]
    assert result.role == "tool"
    assert ("refused" in result.content) is not may
    assert (
        await client.post(PATH, json=response(previous_response_id=second["id"], input="?"))
    ).is_success
    assert [turn.role for turn in turns_of(backend)][-3:] == ["tool", "assistant", "user"]


async def test_only_servers_that_are_allowed_are_called(
    client: httpx2.AsyncClient, url: str
) -> None:
    answer = await client.post(PATH, json=response(tools=[mcp(f"{url}/")]))
    assert refusal(answer) == (400, "tools[0].server_url", "invalid_request")


async def test_server_that_does_not_let_us_in_is_told(client: httpx2.AsyncClient, url: str) -> None:
    answer = await client.post(PATH, json=response(tools=[mcp(url, headers={})]))
    assert (answer.status_code, answer.json()["error"]["code"]) == (502, "upstream_failed")


@pytest.mark.parametrize("path", [PATH, f"{PATH}/input_tokens"])
def test_a_client_that_leaves_ends_the_listing_of_silent_servers(
    base_url: str, services: FakeServices, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    monkeypatch.setattr(mcp_tools, "START_SECONDS", 20 * PATIENCE_SECONDS)
    with ExitStack() as opened:
        silent = [opened.enter_context(_listening()) for _ in range(2)]
        urls = [f"http://127.0.0.1:{one.getsockname()[1]}/mcp" for one in silent]
        services.mcp_allowed_urls = tuple(urls)
        tools = [mcp(one, server_label=f"silent{index}") for index, one in enumerate(urls)]
        body = json.dumps({"model": MODEL_ID, "input": "Hi", "tools": tools}).encode()
        server = httpx2.URL(base_url)
        head = f"POST {path} HTTP/1.1\r\nHost: {server.host}\r\nContent-Type: application/json\r\n"
        with socket.create_connection((server.host, server.port or 0)) as client:
            client.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
            # Both are asked, though neither answers.
            asking = [opened.enter_context(one.accept()[0]) for one in silent]
        for connection in asking:
            connection.settimeout(PATIENCE_SECONDS)
            while connection.recv(65536):
                pass  # until it is closed


def _listening() -> socket.socket:
    listening = socket.create_server(("127.0.0.1", 0))
    listening.settimeout(PATIENCE_SECONDS)
    return listening
