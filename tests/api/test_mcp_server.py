"""`/mcp` as the official client sees it, over a real socket, in both eras of the protocol."""

import asyncio
import json
import threading
import time
from collections.abc import Callable
from typing import Any, TypeAlias

import httpx2
import pytest
from fastapi import FastAPI
from mcp import Client, MCPError
from mcp.types import INVALID_PARAMS, INVALID_REQUEST, CallToolResult, TextContent
from pydantic import JsonValue

from llm_api.api.mcp_on_demand import MCP_PATH
from llm_api.api.policy import Access
from llm_api.api.wiring import create_api
from llm_api.core.functions.mcp_functions import open_mcp_servers
from llm_api.core.functions.python_function import FunctionThreads, PythonFunction
from llm_api.core.functions.registry import declare
from llm_api.core.functions.types import Origin
from tests.api.test_bad_input import assert_envelope
from tests.core.functions.mcp_fakes import http_peer, stdio_peer
from tests.fakes import FakeServices
from tests.live import live_server, wait_until

INITIALIZE = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {
        "protocolVersion": "2025-06-18",
        "capabilities": {},
        "clientInfo": {"name": "test", "version": "1"},
    },
}
ACCEPT = {"accept": "application/json, text/event-stream"}


class Watched:
    """Functions, and how far those that wait have got."""

    def __init__(self) -> None:
        self.began, self.ended = threading.Event(), threading.Event()

    def divide(self, a: float, b: float = 2) -> dict[str, float]:
        """Divide two numbers."""
        return {"quotient": a / b}

    def greet(self, name: str) -> str:
        return f"Hello, {name}!"

    def count(self, to: int) -> list[int]:
        return list(range(to))

    async def wait(self) -> None:
        self.began.set()
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            self.ended.set()
            raise


@pytest.fixture
def watched(services: FakeServices) -> Watched:
    """The functions that are served."""
    watched = Watched()
    add_functions(services, watched.divide, watched.greet, watched.count, watched.wait)
    return watched


def add_functions(
    services: FakeServices, *functions: Callable[..., Any], timeout_seconds: float | None = None
) -> None:
    origin, threads = Origin("file", "mine.py"), FunctionThreads()
    for function in functions:
        declaration = declare(function, timeout_seconds=timeout_seconds)
        services.functions.catalog.add(PythonFunction(declaration, origin, threads))


Connect: TypeAlias = Callable[[], Client]


@pytest.fixture(params=["auto", "legacy"])
def connect(request: pytest.FixtureRequest, watched: Watched, base_url: str) -> Connect:
    """Makes the official client: without a handshake, as of 2026, and with one."""
    return lambda: Client(f"{base_url}{MCP_PATH}", mode=request.param)


def text(result: CallToolResult) -> str:
    [content] = result.content
    assert isinstance(content, TextContent)
    return content.text


async def test_a_client_learns_whom_it_talks_to(connect: Connect) -> None:
    async with connect() as mcp:
        assert mcp.server_info is not None
        assert (mcp.server_info.name, mcp.server_info.version) == ("llm_api", "0.0.test")
        assert mcp.server_capabilities.tools is not None


async def test_every_function_is_a_tool_with_its_schema(connect: Connect) -> None:
    async with connect() as mcp:
        tools = {tool.name: tool for tool in (await mcp.list_tools()).tools}
        assert list(tools) == ["divide", "greet", "count", "wait"]
        assert tools["divide"].description == "Divide two numbers."
        assert tools["divide"].input_schema == {
            "type": "object",
            "properties": {"a": {"type": "number"}, "b": {"type": "number", "default": 2}},
            "required": ["a"],
            "additionalProperties": False,
        }


async def test_a_result_comes_as_text_and_an_object_as_such_too(connect: Connect) -> None:
    async with connect() as mcp:
        divided = await mcp.call_tool("divide", {"a": 5})
        assert not divided.is_error
        assert divided.structured_content == {"quotient": 2.5}
        assert json.loads(text(divided)) == {"quotient": 2.5}
        assert text(await mcp.call_tool("greet", {"name": "Ü"})) == "Hello, Ü!"
        counted = await mcp.call_tool("count", {"to": 3})
        assert (text(counted), counted.structured_content) == ("[0,1,2]", None)


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("divide", {}, "The arguments do not fit: a is missing. The parameters are: a, b."),
        ("divide", {"a": 1, "b": 0}, "ZeroDivisionError: float division by zero"),
        ("count", {"to": 1000}, "The result has 3891 bytes, and may have 1024: ask for less."),
    ],
)
async def test_a_call_without_a_result_is_an_error_for_the_model(
    connect: Connect, name: str, arguments: dict[str, Any], message: str
) -> None:
    async with connect() as mcp:
        result = await mcp.call_tool(name, arguments)
        assert result.is_error
        assert text(result) == message


async def test_a_call_that_takes_too_long_is_an_error_for_the_model(
    connect: Connect, services: FakeServices
) -> None:
    async with connect() as mcp:

        async def slow() -> None:
            await asyncio.sleep(60)

        add_functions(services, slow, timeout_seconds=0.2)
        result = await mcp.call_tool("slow")
        assert result.is_error
        assert text(result) == "slow gave no result within 0.2 seconds."


async def test_an_unknown_tool_is_an_error_of_the_protocol(connect: Connect) -> None:
    async with connect() as mcp:
        with pytest.raises(MCPError, match="There is no function 'divid'") as caught:
            await mcp.call_tool("divid", {"a": 1})
        assert caught.value.code == INVALID_PARAMS


async def test_calls_run_side_by_side(connect: Connect, watched: Watched) -> None:
    async with connect() as mcp:
        waiting = asyncio.create_task(mcp.call_tool("wait"))
        await asyncio.to_thread(wait_until, watched.began.is_set)
        assert text(await mcp.call_tool("greet", {"name": "you"})) == "Hello, you!"
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)


async def test_a_cancelled_call_is_cancelled_here(watched: Watched, base_url: str) -> None:
    async with Client(f"{base_url}{MCP_PATH}") as client:
        call = asyncio.create_task(client.call_tool("wait"))
        await asyncio.to_thread(wait_until, watched.began.is_set)
        assert not watched.ended.is_set()
        call.cancel()
        await asyncio.to_thread(wait_until, watched.ended.is_set)
        assert text(await client.call_tool("greet", {"name": "you"})) == "Hello, you!"


async def test_a_client_that_leaves_cancels_its_call(
    services: FakeServices, watched: Watched, base_url: str
) -> None:
    async with Client(f"{base_url}{MCP_PATH}", mode="legacy") as client:
        call = asyncio.create_task(client.call_tool("wait"))
        await asyncio.to_thread(wait_until, watched.began.is_set)
    await asyncio.to_thread(wait_until, watched.ended.is_set)
    await asyncio.gather(call, return_exceptions=True)


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_a_server_that_is_stopped_cancels_what_runs(
    app: FastAPI, watched: Watched, mode: str
) -> None:
    server = live_server(app)
    url = await asyncio.to_thread(server.__enter__)
    async with Client(f"{url}{MCP_PATH}", mode=mode) as client:
        call = asyncio.create_task(client.call_tool("wait"))
        await asyncio.to_thread(wait_until, watched.began.is_set)
        began = time.monotonic()
        await asyncio.to_thread(server.__exit__, None, None, None)
        assert time.monotonic() - began < 30  # the call would take sixty
        assert watched.ended.is_set()
        with pytest.raises(MCPError):
            await call


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"host": "localhost:1"}, 200),
        ({"host": "LOCALHOST.evil.example"}, 421),
        ({"host": "evil.example"}, 421),
        ({"origin": "http://localhost:6274"}, 200),
        ({"origin": "https://evil.example"}, 403),
    ],
)
async def test_only_pages_of_this_machine_may_call_what_listens_on_loopback(
    base_url: str, headers: dict[str, str], status: int
) -> None:
    async with httpx2.AsyncClient(timeout=60) as http:
        response = await http.post(
            f"{base_url}{MCP_PATH}", json=INITIALIZE, headers=ACCEPT | headers
        )
    assert response.status_code == status
    assert response.headers["x-request-id"].startswith("req_")


async def test_a_call_may_be_as_large_as_any_other_body(base_url: str) -> None:
    body = {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "ping",
        "params": {"_meta": {"x": "y" * 5_000_000}},
    }
    async with httpx2.AsyncClient(timeout=60) as http:
        response = await http.post(f"{base_url}{MCP_PATH}", json=body, headers=ACCEPT)
    assert response.status_code == 200


async def test_elsewhere_every_host_may(services: FakeServices) -> None:
    app = create_api(version="0", access=Access(allowed_hosts=None))
    app.state.services = services
    with live_server(app) as url:
        async with httpx2.AsyncClient(timeout=60) as http:
            headers = {**ACCEPT, "host": "llm.example", "origin": "https://chat.example"}
            response = await http.post(f"{url}{MCP_PATH}", json=INITIALIZE, headers=headers)
    assert response.status_code == 200


@pytest.mark.parametrize("method", ["GET", "DELETE"])
async def test_there_are_no_sessions_to_listen_to_or_to_end(
    client: httpx2.AsyncClient, method: str
) -> None:
    response = await client.request(method, MCP_PATH)
    assert response.status_code == 405
    assert response.headers["allow"] == "POST"
    assert_envelope(response)


async def test_our_own_functions_come_back_as_they_are(
    services: FakeServices, watched: Watched, base_url: str
) -> None:
    there = FakeServices(services.models, services.embedders)
    catalog, runner = there.functions.catalog, there.functions.runner
    async with open_mcp_servers([http_peer(f"{base_url}{MCP_PATH}")], catalog):
        assert catalog.problems() == ()
        for ours in services.functions.catalog.functions():
            assert catalog.get(ours.spec.name).spec == ours.spec
        calls: list[tuple[str, dict[str, JsonValue]]] = [
            ("divide", {"a": 5}),
            ("greet", {"name": "Ü"}),
            ("count", {"to": 3}),
            ("divide", {"a": 1, "b": 0}),
        ]
        for name, arguments in calls:
            here = await services.functions.runner.run(
                services.functions.catalog.get(name), arguments
            )
            assert (await runner.run(catalog.get(name), arguments)).content == here.content


async def test_what_other_servers_offer_is_offered_on(
    services: FakeServices, client: httpx2.AsyncClient, base_url: str
) -> None:
    async with open_mcp_servers([stdio_peer()], services.functions.catalog):
        listed = (await client.get("/v1/functions/add")).json()
        assert listed["origin"] == {"type": "mcp", "name": "peer"}
        answer = await client.post("/v1/functions/add", json={"arguments": {"a": 2}})
        assert answer.json()["result"] == {"sum": 3}
        # The two event loops must not share a client: only what needs no call is asked here.
        async with Client(f"{base_url}{MCP_PATH}") as mcp:
            assert "add" in {tool.name for tool in (await mcp.list_tools()).tools}


@pytest.mark.parametrize(
    ("message", "problem"),
    [
        ([], "send one JSON-RPC 2.0 message, which is an object; batches are not taken"),
        ({"jsonrpc": "1.0", "id": 1, "method": "ping"}, "'jsonrpc' must be '2.0'"),
        ({"id": 1, "method": "ping"}, "'jsonrpc' must be '2.0'"),
        ({"jsonrpc": "2.0", "id": 1}, "'method' must be a string"),
        ({"jsonrpc": "2.0", "id": 1, "method": 5}, "'method' must be a string"),
        (
            {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": [1]},
            "'params' must be an object",
        ),
        ({"jsonrpc": "2.0", "id": {}, "method": "ping"}, "'id' must be a string or an integer"),
        ({"jsonrpc": "2.0", "id": True, "method": "ping"}, "'id' must be a string or an integer"),
    ],
)
def test_what_is_no_message_of_the_protocol_is_refused_in_one_line(
    base_url: str, message: object, problem: str
) -> None:
    response = httpx2.post(base_url + MCP_PATH, json=message, headers=ACCEPT)
    assert response.status_code == 400
    assert response.json() == {
        "jsonrpc": "2.0",
        "id": None,
        "error": {"code": INVALID_REQUEST, "message": f"Invalid request: {problem}."},
    }
