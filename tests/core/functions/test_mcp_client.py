import asyncio
import gzip
import itertools
import json
import logging
import os
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from llm_api.core.errors import FunctionFailedError
from llm_api.core.functions.mcp_client import ANSWER_BYTES, MOST_TOOLS, MCPClient
from llm_api.core.functions.mcp_servers import MCPServer, Program
from tests.core.functions.mcp_fakes import (
    free_port,
    http_peer,
    is_gone,
    kill,
    listing,
    paging,
    script,
    serving_peer,
    stdio_peer,
)
from tests.live import wait_until
from tests.upstreams import Reply, stand_in


@asynccontextmanager
async def connected(server: MCPServer) -> AsyncGenerator[MCPClient, None]:
    client = MCPClient(server)
    try:
        yield client
    finally:
        await client.aclose()


async def called(client: MCPClient, tool: str, **arguments: Any) -> Any:
    return json.loads(await client.call(tool, arguments))


async def until_written(file: Path, word: str) -> None:
    await asyncio.to_thread(wait_until, lambda: file.exists() and file.read_text() == word, 10)


@asynccontextmanager
async def waiting(client: MCPClient, file: Path) -> AsyncGenerator[asyncio.Task[Any], None]:
    """A call that the peer has begun to serve, and does not end."""
    call = asyncio.create_task(called(client, "wait", file=str(file)))
    await until_written(file, "began")
    try:
        yield call
    finally:
        call.cancel()
        await asyncio.gather(call, return_exceptions=True)


async def test_a_program_is_started_used_and_stopped(tmp_path: Path) -> None:
    secret = "s3cret"
    async with connected(stdio_peer(env={"TOKEN": secret}, cwd=tmp_path)) as client:
        tools = {tool.name: tool for tool in await client.tools()}
        assert tools["add"].description == "Add two numbers."
        assert tools["add"].parameters["required"] == ["a"]
        assert await called(client, "add", a=2, b=3) == {"sum": 5}
        found = await called(client, "surroundings")
        assert found["cwd"] == str(tmp_path)
        assert not is_gone(found["pid"])
    assert is_gone(found["pid"])


async def test_a_program_sees_the_environment_that_is_named_and_little_else(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-ours")
    async with connected(stdio_peer(env={"TOKEN": "theirs"})) as client:
        environment = (await called(client, "surroundings"))["environment"]
    assert environment["TOKEN"] == "theirs"
    assert environment["PATH"] == os.environ["PATH"]
    assert "OPENAI_API_KEY" not in environment


async def test_what_a_tool_gives_back_is_json_for_a_model() -> None:
    async with connected(stdio_peer()) as client:
        assert await called(client, "say", text="ü\n") == "ü\n"
        assert await called(client, "say", text=' {"a": [1]}') == {"a": [1]}
        assert await called(client, "say", text="{a") == "{a"
        assert await called(client, "say", text="42") == "42"
        assert await called(client, "picture") == [
            "A dot:",
            {"type": "image", "mime_type": "image/png", "bytes": 3},
            {"type": "resource", "uri": "file:///a", "text": "words"},
        ]


async def test_what_a_tool_or_its_server_refuses_is_an_error_in_its_own_words() -> None:
    async with connected(stdio_peer()) as client:
        with pytest.raises(FunctionFailedError, match=r"^No such thing in /etc\.$"):
            await client.call("fail", {})
        with pytest.raises(FunctionFailedError, match="Input should be a valid integer"):
            await client.call("add", {"a": "x"})
        with pytest.raises(FunctionFailedError, match="Unknown tool: nope"):
            await client.call("nope", {})
        assert await called(client, "add", a=1) == {"sum": 2}


async def test_calls_of_one_server_run_side_by_side(tmp_path: Path) -> None:
    async with connected(stdio_peer()) as client, waiting(client, tmp_path / "f"):
        assert await called(client, "add", a=1) == {"sum": 2}


async def test_a_cancelled_call_is_cancelled_at_the_server(tmp_path: Path) -> None:
    async with connected(stdio_peer()) as client:
        async with waiting(client, tmp_path / "f") as call:
            call.cancel()
            await until_written(tmp_path / "f", "cancelled")
        assert await called(client, "add", a=1) == {"sum": 2}


async def test_a_program_that_dies_fails_its_call_at_once_and_is_started_by_the_next(
    tmp_path: Path,
) -> None:
    async with connected(stdio_peer()) as client:
        pid = (await called(client, "surroundings"))["pid"]
        async with waiting(client, tmp_path / "f") as call:
            kill(pid)
            began = time.monotonic()
            with pytest.raises(FunctionFailedError, match="The MCP server: Connection closed"):
                await call
            assert time.monotonic() - began < 20  # the call would take a minute
        again = (await called(client, "surroundings"))["pid"]
        assert again != pid
        assert await called(client, "add", a=1) == {"sum": 2}
    assert is_gone(again)


async def test_calls_that_arrive_together_share_one_new_connection() -> None:
    async with connected(stdio_peer()) as client:
        found = await asyncio.gather(*(called(client, "surroundings") for _ in range(3)))
    assert len({answer["pid"] for answer in found}) == 1


@pytest.mark.parametrize(
    ("server", "reason"),
    [
        (
            MCPServer("absent", Program("/nowhere/at-all"), 5),
            "FileNotFoundError: No such file or directory",
        ),
        (script("raise SystemExit(3)"), "MCPError: Connection closed"),
        (http_peer("http://127.0.0.1:1/mcp"), "ConnectError: All connection attempts failed"),
    ],
)
async def test_a_server_that_does_not_start_is_an_error_that_says_why(
    server: MCPServer, reason: str
) -> None:
    async with connected(server) as client:
        for _ in range(2):  # each asks anew
            with pytest.raises(FunctionFailedError) as caught:
                await client.tools()
            assert caught.value.message == f"The MCP server cannot be used: {reason}"


async def test_a_server_that_never_answers_costs_no_longer_than_it_may_take_to_start() -> None:
    began = time.monotonic()
    async with connected(script("import time; time.sleep(60)", start_seconds=0.5)) as client:
        with pytest.raises(FunctionFailedError, match=r"no answer within 0\.5 seconds"):
            await client.tools()
        assert 0.5 <= time.monotonic() - began < 20
    # Then the program has two seconds to leave by itself; it would take a minute.
    assert time.monotonic() - began < 30


async def test_a_client_that_is_closed_while_it_connects_waits_for_no_answer() -> None:
    client = MCPClient(script("import time; time.sleep(60)"))
    connecting = asyncio.create_task(client.tools())
    await asyncio.sleep(0.1)
    began = time.monotonic()
    await client.aclose()
    assert time.monotonic() - began < 20  # the program has two to leave; 30 to start
    with pytest.raises(FunctionFailedError, match="cannot be used"):
        await connecting


async def test_a_caller_that_gives_up_waiting_leaves_the_connection_to_the_others() -> None:
    async with connected(stdio_peer()) as client:
        impatient = asyncio.create_task(client.tools())
        patient = asyncio.create_task(called(client, "add", a=1))
        await asyncio.sleep(0.05)
        impatient.cancel()
        assert await patient == {"sum": 2}
        assert impatient.cancelled()


async def test_what_a_program_writes_to_stderr_goes_to_the_log(
    caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG, "llm_api")
    async with connected(stdio_peer("grumpy")) as client:
        await client.call("complain", {"text": "Not again!"})
    assert "grumpy: Not again!" in caplog.messages
    assert "Not again!" not in capfd.readouterr().err


async def test_secrets_are_in_no_log_and_no_error(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    program = stdio_peer(env={"TOKEN": "s3cret"})
    endpoint = http_peer("http://127.0.0.1:1/hidden", {"Authorization": "Bearer s3cret"})
    async with connected(program) as client:
        await client.call("add", {"a": 1})
    async with connected(endpoint) as client:
        with pytest.raises(FunctionFailedError) as caught:
            await client.tools()
    assert "s3cret" not in caplog.text
    ours = [record.getMessage() for record in caplog.records if record.name.startswith("llm_api")]
    for secret in ("s3cret", "hidden"):
        assert secret not in f"{ours} {caught.value!r} {program!r} {endpoint!r}"


async def test_an_endpoint_is_used_and_found_again_after_a_restart(tmp_path: Path) -> None:
    port = free_port()
    with serving_peer(port) as url:
        client = MCPClient(http_peer(url))
        assert "add" in {tool.name for tool in await client.tools()}
        assert await called(client, "add", a=2, b=3) == {"sum": 5}
        with pytest.raises(FunctionFailedError, match=r"No such thing"):
            await client.call("fail", {})
        async with waiting(client, tmp_path / "f") as call:
            kill((await called(client, "surroundings"))["pid"])
            with pytest.raises(FunctionFailedError):
                await call
    with pytest.raises(FunctionFailedError):
        await client.call("add", {"a": 1})
    with serving_peer(port):
        assert await called(client, "add", a=1) == {"sum": 2}
        await client.aclose()


async def test_a_session_that_a_restarted_server_has_forgotten_is_opened_anew() -> None:
    port = free_port()
    with serving_peer(port, "handshake") as url:
        client = MCPClient(http_peer(url))
        assert await called(client, "add", a=2, b=3) == {"sum": 5}
    with serving_peer(port, "handshake"):
        with pytest.raises(FunctionFailedError):
            await client.call("add", {"a": 1})
        assert await called(client, "add", a=1) == {"sum": 2}
        await client.aclose()


async def test_a_call_cancelled_over_http_is_cancelled_at_the_server(tmp_path: Path) -> None:
    with serving_peer(free_port()) as url:
        async with connected(http_peer(url)) as client:
            async with waiting(client, tmp_path / "f") as call:
                call.cancel()
                await until_written(tmp_path / "f", "cancelled")
            assert await called(client, "add", a=1) == {"sum": 2}


async def test_an_endpoint_that_wants_another_key_says_so() -> None:
    with serving_peer(free_port()) as url:
        async with connected(http_peer(url, {"Authorization": "Bearer wrong"})) as client:
            with pytest.raises(FunctionFailedError, match=r"\(HTTP 401\)$"):
                await client.tools()


FLOOD = itertools.repeat(b" " * 500_000, 1000)
PACKED = gzip.compress(b" " * 1_000_000)


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        (Reply(FLOOD), f"more than {ANSWER_BYTES} bytes"),
        (Reply(FLOOD, 500), f"more than {ANSWER_BYTES} bytes"),
        (Reply([PACKED], headers={"content-encoding": "gzip"}), "a compressed answer"),
    ],
)
async def test_an_answer_without_end_is_not_read(
    reply: Reply, said: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    async with stand_in(lambda _: reply) as server, connected(http_peer(server.url)) as client:
        with pytest.raises(FunctionFailedError):
            await client.tools()
    assert said in caplog.text


@pytest.mark.parametrize("tools", [[], [{"name": "t", "inputSchema": {"type": "object"}}] * 300])
async def test_a_list_of_tools_without_end_is_given_up(tools: list[object]) -> None:
    async with connected(paging({"tools": tools, "nextCursor": "more"})) as client:
        with pytest.raises(FunctionFailedError, match=f"more than {MOST_TOOLS} tools"):
            await client.tools()


GOOD = {"name": "good", "inputSchema": {"type": "object", "properties": {"a": {}}}}


@pytest.mark.parametrize(
    "odd",
    [
        {"inputSchema": {}},
        {"inputSchema": None},
        {},
        {"inputSchema": {"type": None, "properties": None, "required": None}},
    ],
    ids=["empty", "null", "absent", "nulls"],
)
async def test_a_tool_whose_schema_says_nothing_takes_an_object(odd: dict[str, object]) -> None:
    async with connected(listing({"name": "odd", **odd}, GOOD)) as client:
        tools = {tool.name: tool.parameters for tool in await client.tools()}
        assert tools == {"odd": {"type": "object"}, "good": GOOD["inputSchema"]}
        assert await called(client, "odd") == "done"


@pytest.mark.parametrize(
    "broken",
    [
        {"name": "broken", "inputSchema": {"type": "string"}},
        {"name": "broken", "inputSchema": {"type": "object", "properties": []}},
        {"inputSchema": {}},
        "broken",
    ],
)
async def test_a_tool_that_is_none_is_left_out_and_takes_no_other_down(
    broken: object, caplog: pytest.LogCaptureFixture
) -> None:
    async with connected(listing(broken, GOOD)) as client:
        assert [tool.name for tool in await client.tools()] == ["good"]
    assert "listing has a tool that cannot be called" in caplog.text
