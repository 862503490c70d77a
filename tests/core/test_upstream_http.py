"""The client against servers that speak HTTP byte by byte, well and badly."""

import asyncio
import gzip
import socket
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager, suppress

import pytest

from llm_api.core import upstream_http
from llm_api.core.errors import (
    LLMAPIError,
    OverloadedError,
    UnavailableError,
    UpstreamError,
    UpstreamTimeoutError,
)
from llm_api.core.upstream import ERROR_BYTES, UpstreamServer
from llm_api.core.upstream_http import UpstreamHTTP

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]

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


@asynccontextmanager
async def client(
    url: str, headers: dict[str, str] | None = None, seconds: float = 10
) -> AsyncGenerator[UpstreamHTTP, None]:
    named = UpstreamServer(url, "THE_KEY")
    http = UpstreamHTTP(named, url, headers or {}, connect_seconds=5, silence_seconds=seconds)
    async with aclosing(http):
        yield http


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

    async with server(handle) as url, client(url) as http:
        for _ in range(4):
            assert (await http.get("x")).body == b"ok"
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

    async with server(handle) as url, client(url) as http:
        answers = [await http.post("x", {}) for _ in range(4)]
    assert ([answer.body for answer in answers], requests) == ([b"ok"] * 4, 4)


async def test_a_new_connection_that_is_closed_unanswered_is_a_failure_at_once() -> None:
    connections = 0

    async def handle(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        await reader.readuntil(b"\r\n\r\n")

    async with server(handle) as url, client(url) as http:
        with pytest.raises(UpstreamError, match="broke off"):
            await http.post("x", {})
    assert connections == 1


async def test_what_is_sent_and_read_is_said_as_http_says_it() -> None:
    seen: list[bytes] = []
    body = gzip.compress(b'{"a": 1}')

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append(await reader.readuntil(b"\r\n\r\n"))
        seen.append(await reader.readexactly(10))
        head = b"HTTP/1.1 201 Made\r\nX-One: 1\r\nx-one: 2\r\ncontent-encoding: gzip\r\n"
        writer.write(head + b"content-length: %d\r\n\r\n" % len(body) + body)
        await writer.drain()

    headers = {"authorization": "Bearer abc"}
    async with server(handle) as url, client(f"{url}/v1", headers) as http:
        answer = await http.post("a/b", {"a": "ü"})
    assert (answer.status, answer.json()) == (201, {"a": 1})
    assert answer.headers["x-one"] == "1"
    head = seen[0].decode().lower()
    assert head.startswith("post /v1/a/b http/1.1\r\n")
    for line in ("authorization: bearer abc", "content-length: 10"):
        assert head.count(f"\r\n{line}\r\n") == 1
    for name in ("user-agent", "accept", "accept-encoding", "host", "content-type"):
        assert head.count(f"\r\n{name}: ") == 1
    assert seen[1] == '{"a":"ü"}'.encode()


async def test_a_redirect_is_not_followed() -> None:
    moved = b"HTTP/1.1 302 Found\r\nlocation: /elsewhere\r\ncontent-length: 0\r\n\r\n"
    async with server(says(moved)) as url, client(url) as http:
        assert (await http.get("x")).status == 302


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
        client(url) as http,
        asyncio.timeout(5),
    ):
        async with http.stream("x", {}) as answer:
            assert await anext(aiter(answer.parts())) == b"one"
        await left.wait()


CHUNKED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    ("handler", "error"),
    [
        (says(), UpstreamError),
        (says(b"SSH-2.0-OpenSSH\r\n\r\n"), UpstreamError),
        (says(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nok"), UpstreamError),
        (says(CHUNKED + b"3\r\none\r\n"), UpstreamError),
        (says(CHUNKED + b"zz\r\none\r\n"), UpstreamError),
        (says(forever=True), UpstreamTimeoutError),
        (says(CHUNKED + b"3\r\none\r\n", forever=True), UpstreamTimeoutError),
        (says(b"HTTP/1.1 429 Busy\r\ncontent-length: 0\r\n\r\n"), OverloadedError),
    ],
)
async def test_what_goes_wrong_is_an_error_of_ours(
    handler: Handler, error: type[LLMAPIError]
) -> None:
    async with server(handler) as url, client(url, seconds=0.2) as http:
        with pytest.raises(error) as caught:
            async with http.stream("x", {}) as answer:
                await answer.whole(100)
    assert type(caught.value) is error


def floods(head: bytes, part: bytes, seconds: float = 0.0) -> Handler:
    """Answers without end."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(head)
        with suppress(ConnectionError):
            while not writer.is_closing():
                writer.write(part)
                await writer.drain()
                await asyncio.sleep(seconds)

    return handle


FLOOD = b"HTTP/1.1 %d X\r\nconnection: close\r\n%s\r\n"


async def test_of_a_failure_no_more_is_read_than_may_be_said() -> None:
    async with server(floods(FLOOD % (500, b""), b"water " * 1000)) as url, client(url) as http:
        answer = await http.get("x")
    assert (answer.status, answer.body) == (500, (b"water " * ERROR_BYTES)[:ERROR_BYTES])


async def test_a_failure_that_takes_too_long_to_say_is_not_heard_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(upstream_http, "BODY_SECONDS", 0.1)
    async with server(floods(FLOOD % (400, b""), b"water ", 0.5)) as url, client(url) as http:
        assert (await http.get("x")).body == b"water "


@pytest.mark.parametrize("seconds", [0.0, 0.5])
async def test_a_document_without_end_is_a_failure(
    monkeypatch: pytest.MonkeyPatch, seconds: float
) -> None:
    monkeypatch.setattr(upstream_http, "BODY_SECONDS", 0.1 if seconds else 60.0)
    flood = floods(FLOOD % (200, b""), b"water " * 1000, seconds)
    async with server(flood) as url, client(url) as http:
        with pytest.raises(UpstreamError, match="more than"):
            await http.post("x", {}, 20_000)


async def test_a_compressed_document_is_bounded_as_what_it_is_unpacked() -> None:
    head = FLOOD % (200, b"content-encoding: gzip\r\n")
    async with (
        server(says(head + gzip.compress(bytes(10_000_000)))) as url,
        client(url) as http,
    ):
        with pytest.raises(UpstreamError, match="more than 5000000 bytes"):
            await http.post("x", {}, 5_000_000)


async def test_where_nobody_listens_the_connection_fails() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # and does not listen
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        async with client(url) as http:
            with pytest.raises(UnavailableError, match="cannot be reached"):
                await http.get("x")


async def test_a_key_with_a_line_in_it_is_not_sent() -> None:
    broken = {"authorization": "a\r\nb: c"}
    async with server(says(WHOLE)) as url, client(url, broken) as http:
        with pytest.raises(UnavailableError, match="cannot be asked; check its URL and THE_KEY"):
            await http.get("x")


async def test_a_url_without_a_scheme_is_for_the_operator_to_mend() -> None:
    async with client("elsewhere") as http:
        with pytest.raises(UnavailableError, match="check its URL"):
            await http.get("models")


async def test_a_proxy_of_the_environment_is_heeded_but_for_this_machine(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    async with server(says(WHOLE)) as proxy:
        monkeypatch.setenv("http_proxy", proxy)
        async with client("http://elsewhere.invalid") as http:
            assert (await http.get("x")).body == b"ok"
        own = says(WHOLE.replace(b"ok", b"me"))
        async with server(own) as url, client(url) as http:
            assert (await http.get("x")).body == b"me"


@pytest.mark.parametrize("handler", [says(forever=True), says(CHUNKED, forever=True)])
async def test_closing_ends_what_waits_for_a_server(handler: Handler) -> None:
    async with server(handler) as url, client(url) as http, asyncio.timeout(5):
        waiting = asyncio.create_task(http.get("x"))
        await asyncio.sleep(0.05)
        await http.aclose()
        with pytest.raises(UnavailableError, match="stopping"):
            await waiting
        with pytest.raises(UnavailableError, match="stopping"):
            await http.get("x")


async def test_a_caller_who_is_cancelled_is_cancelled() -> None:
    async with server(says(forever=True)) as url, client(url) as http:
        waiting = asyncio.create_task(http.get("x"))
        await asyncio.sleep(0.05)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
