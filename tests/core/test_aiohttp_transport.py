"""The transport against servers that speak HTTP byte by byte, well and badly."""

import asyncio
import gzip
import socket
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager

import httpx2
import pytest

from llm_api.core.upstream import open_http

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]

QUICK = httpx2.Timeout(0.2)
PATIENT = httpx2.Timeout(10)
WHOLE = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


@asynccontextmanager
async def server(handler: Handler) -> AsyncGenerator[str, None]:
    async def until_it_ends(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await handler(reader, writer)
        finally:
            writer.close()

    async with await asyncio.start_server(until_it_ends, "127.0.0.1", 0) as listening:
        yield f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"


def says(*parts: bytes, forever: bool = False) -> Handler:
    """Reads one request, and answers with these bytes."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        for part in parts:
            writer.write(part)
            await writer.drain()
        if forever:
            await reader.read()

    return handle


async def test_a_connection_is_used_again_while_it_is_open() -> None:
    connections = 0

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        for _ in range(2):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(WHOLE)
            await writer.drain()

    async with server(handle) as url, open_http(url, {}, PATIENT) as http:
        for _ in range(4):
            assert (await http.get("/x")).text == "ok"
            await asyncio.sleep(0.02)  # until it is known that the server has closed
    assert connections == 2


async def test_a_kept_connection_that_the_server_closes_meanwhile_costs_no_request() -> None:
    """As llama-server does: it closes when the next request is already on its way."""
    requests = 0

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal requests
        await reader.readuntil(b"\r\n\r\n")
        requests += 1
        writer.write(WHOLE)
        await reader.read(1)

    async with server(handle) as url, open_http(url, {}, PATIENT) as http:
        answers = [await http.post("/x", json={}) for _ in range(4)]
    assert ([answer.text for answer in answers], requests) == (["ok"] * 4, 4)


async def test_a_new_connection_that_is_closed_unanswered_is_a_failure_at_once() -> None:
    connections = 0

    async def handle(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        await reader.readuntil(b"\r\n\r\n")

    async with server(handle) as url, open_http(url, {}, PATIENT) as http:
        with pytest.raises(httpx2.RemoteProtocolError):
            await http.post("/x", json={})
    assert connections == 1


async def test_what_is_sent_and_read_is_httpx2_s() -> None:
    seen: list[bytes] = []
    body = gzip.compress(b'{"a": 1}')

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append(await reader.readuntil(b"\r\n\r\n"))
        seen.append(await reader.readexactly(10))
        head = b"HTTP/1.1 201 Made\r\nX-One: 1\r\nx-one: 2\r\ncontent-encoding: gzip\r\n"
        writer.write(head + b"content-length: %d\r\n\r\n" % len(body) + body)
        await writer.drain()

    headers = {"authorization": "Bearer abc"}
    async with server(handle) as url, open_http(f"{url}/v1", headers, PATIENT) as http:
        answer = await http.post("a%2Fb?c=%20d", json={"a": "ü"}, headers={"x-y": "z"})
    assert (answer.status_code, answer.json()) == (201, {"a": 1})
    assert answer.headers.get_list("x-one") == ["1", "2"]
    head = seen[0].decode().lower()
    assert head.startswith("post /v1/a%2fb?c=%20d http/1.1\r\n")
    for line in ("authorization: bearer abc", "x-y: z", "content-length: 10"):
        assert head.count(f"\r\n{line}\r\n") == 1
    for name in ("user-agent", "accept", "accept-encoding", "host", "content-type"):
        assert head.count(f"\r\n{name}: ") == 1
    assert seen[1] == '{"a":"ü"}'.encode()


async def test_a_redirect_is_not_followed() -> None:
    moved = b"HTTP/1.1 302 Found\r\nlocation: /elsewhere\r\ncontent-length: 0\r\n\r\n"
    async with server(says(moved)) as url, open_http(url, {}, PATIENT) as http:
        assert (await http.get("/x")).status_code == 302


async def test_a_stream_comes_as_it_is_sent_and_leaving_it_closes_its_connection() -> None:
    left = asyncio.Event()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\none\r\n")
        await writer.drain()
        await reader.read()
        left.set()

    async with (
        server(handle) as url,
        open_http(url, {}, PATIENT) as http,
        asyncio.timeout(5),
    ):
        async with http.stream("GET", "/x") as answer:
            assert await anext(answer.aiter_bytes()) == b"one"
        await left.wait()


CHUNKED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    ("handler", "error"),
    [
        (says(), httpx2.RemoteProtocolError),
        (says(b"SSH-2.0-OpenSSH\r\n\r\n"), httpx2.RemoteProtocolError),
        (says(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nok"), httpx2.RemoteProtocolError),
        (says(CHUNKED + b"3\r\none\r\n"), httpx2.RemoteProtocolError),
        (says(CHUNKED + b"zz\r\none\r\n"), httpx2.RemoteProtocolError),
        (says(forever=True), httpx2.ReadTimeout),
        (says(CHUNKED + b"3\r\none\r\n", forever=True), httpx2.ReadTimeout),
    ],
)
async def test_what_goes_wrong_is_what_httpx2_calls_it(
    handler: Handler, error: type[httpx2.HTTPError]
) -> None:
    async with server(handler) as url, open_http(url, {}, QUICK) as http:
        with pytest.raises(httpx2.HTTPError) as caught:
            await http.get("/x")
    assert type(caught.value) is error


async def test_where_nobody_listens_the_connection_fails() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # and does not listen
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        async with open_http(url, {}, PATIENT) as http:
            with pytest.raises(httpx2.ConnectError):
                await http.get("/x")


async def test_a_key_with_a_line_in_it_is_not_sent() -> None:
    broken = {"authorization": "a\r\nb: c"}
    async with server(says(WHOLE)) as url, open_http(url, broken, PATIENT) as http:
        with pytest.raises(httpx2.LocalProtocolError):
            await http.get("/x")


async def test_a_proxy_of_the_environment_is_heeded_but_for_this_machine(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    async with server(says(WHOLE)) as proxy:
        monkeypatch.setenv("http_proxy", proxy)
        async with open_http("http://elsewhere.invalid", {}, PATIENT) as http:
            assert (await http.get("/x")).text == "ok"
        own = says(WHOLE.replace(b"ok", b"me"))
        async with server(own) as url, open_http(url, {}, PATIENT) as http:
            assert (await http.get("/x")).text == "me"


@pytest.mark.parametrize("handler", [says(forever=True), says(CHUNKED, forever=True)])
async def test_closing_ends_what_waits_for_a_server(handler: Handler) -> None:
    async with server(handler) as url, open_http(url, {}, PATIENT) as http, asyncio.timeout(5):
        waiting = asyncio.create_task(http.get("/x"))
        await asyncio.sleep(0.05)
        await http.aclose()
        with pytest.raises(httpx2.ReadError):
            await waiting


async def test_a_caller_who_is_cancelled_is_cancelled() -> None:
    async with server(says(forever=True)) as url, open_http(url, {}, PATIENT) as http:
        waiting = asyncio.create_task(http.get("/x"))
        await asyncio.sleep(0.05)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
