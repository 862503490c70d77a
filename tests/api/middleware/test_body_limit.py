"""A body that is too large or too slow is refused while it is still coming."""

import asyncio
import json
import socket
import tracemalloc
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from urllib.parse import urlsplit

import httpx2
import pytest
from fastapi import FastAPI, Request, Response
from starlette.datastructures import Headers
from starlette.types import Message, Receive, Scope, Send

from llm_api.api.deps import set_services
from llm_api.api.middleware.body_limit import BodyLimitMiddleware
from llm_api.api.policy import Access
from llm_api.api.request_facts import RequestFacts
from llm_api.api.uploads import read_form
from llm_api.api.wiring import create_api
from tests.api.bodies import chat
from tests.api.keyed import talking_to
from tests.api.test_bad_input import JSON_HEADERS, assert_envelope
from tests.fakes import FakeBackend, FakeServices
from tests.live import PATIENCE_SECONDS, live_server

CHAT = "/v1/chat/completions"
LIMIT = 2048
PATHS = [CHAT, "/v1/embeddings", "/v1/functions/f", "/mcp"]


@pytest.fixture
def small(services: FakeServices) -> FastAPI:
    """The API with little room for bodies."""
    app = create_api(version="0", access=Access(max_body_bytes=LIMIT))
    set_services(app, services)
    return app


@pytest.fixture
def small_url(small: FastAPI) -> Iterator[str]:
    with live_server(small) as url:
        yield url


async def pieces(size: int, piece: int = 500) -> AsyncIterator[bytes]:
    """A body without a Content-Length."""
    for _ in range(0, size, piece):
        yield b" " * piece


@pytest.mark.parametrize("path", PATHS)
async def test_a_body_is_refused_with_and_without_a_length(
    small_url: str, backend: FakeBackend, path: str
) -> None:
    async with httpx2.AsyncClient(base_url=small_url, headers=JSON_HEADERS) as client:
        for content in (b" " * (LIMIT + 1), pieces(LIMIT * 2)):
            response = await client.post(path, content=content)
            assert response.status_code == 413
            error = assert_envelope(response)
            assert error["code"] == "request_too_large"
            assert error["message"] == "The request body must not be larger than 2048 bytes."
    assert backend.requests == []


async def test_a_body_of_just_the_size_is_read(small: FastAPI) -> None:
    body = httpx2.Request("POST", "http://x", json=chat()).content
    async with talking_to(small) as client:
        content = body + b" " * (LIMIT - len(body))
        response = await client.post(CHAT, content=content, headers=JSON_HEADERS)
        assert response.status_code == 200


@pytest.mark.parametrize("head", ["content-length: 1000000", "transfer-encoding: chunked"])
def test_the_refusal_comes_before_the_body_has(small_url: str, head: str) -> None:
    parts = urlsplit(small_url)
    with socket.create_connection(
        (parts.hostname, parts.port), timeout=PATIENCE_SECONDS
    ) as connection:
        start = f"POST {CHAT} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
        connection.sendall(f"{start}{head}\r\n\r\n".encode())
        if "chunked" in head:
            connection.sendall(b"%x\r\n" % 1_000_000 + b" " * (LIMIT + 1))
        assert connection.recv(12) == b"HTTP/1.1 413"


async def test_a_body_without_end_takes_no_memory(small: FastAPI) -> None:
    async def endless_body() -> AsyncIterator[bytes]:
        while True:
            yield b" " * 65_536

    messages = endless_body()
    sent = []

    async def receive() -> dict[str, object]:
        return {"type": "http.request", "body": await anext(messages), "more_body": True}

    async def send(message: object) -> None:
        sent.append(message)

    headers = [(b"host", b"localhost"), (b"content-type", b"application/json")]
    scope = {"type": "http", "method": "POST", "path": CHAT, "headers": headers}
    tracemalloc.start()
    await small(scope | {"query_string": b""}, receive, send)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert sent[0]["status"] == 413  # type: ignore[index]
    assert peak < 2**20


@pytest.mark.parametrize(("size", "status"), [(2000, 200), (4000, 413)])
@pytest.mark.parametrize("is_chunked", [False, True])
async def test_files_have_a_bound_of_their_own(size: int, status: int, is_chunked: bool) -> None:
    async def reading_form(scope: Scope, receive: Receive, send: Send) -> None:
        form = await read_form(Request(scope, receive), max_files=1)
        await Response("read")(scope, receive, send)
        await form.close()

    limited = BodyLimitMiddleware(reading_form, Access(max_body_bytes=1024, max_upload_bytes=3000))

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        facts = RequestFacts("req_1", "POST", datetime.now(UTC), 0.0, keeps_content=False)
        scope["state"] = {"facts": facts}
        await limited(scope, receive, send)

    transport = httpx2.ASGITransport(app)
    head = b'--x\r\ncontent-disposition: form-data; name="files"; filename="a"\r\n\r\n'
    body = head + b" " * size + b"\r\n--x--\r\n"

    async def in_pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(body), 500):
            yield body[start : start + 500]

    async with httpx2.AsyncClient(transport=transport, base_url="http://localhost") as client:
        response = await client.post(
            "/v1/rag/files",
            content=in_pieces() if is_chunked else body,
            headers={"content-type": "multipart/form-data; boundary=x"},
        )
        assert response.status_code == status
        refused = await client.post("/v1/rag/search", content=b" " * 1500)
        assert refused.status_code == 413


async def reading(scope: Scope, receive: Receive, send: Send) -> None:
    """Reads the body, then waits for the end of the connection, as a stream does."""
    request = Request(scope, receive)
    body = await request.body()
    await Response(str(len(body)))(scope, receive, send)
    assert (await receive())["type"] == "http.disconnect"


def posting() -> Scope:
    """A request as the middleware outside hands it on."""
    facts = RequestFacts("req_1", "POST", datetime.now(UTC), 0.0, keeps_content=False)
    return {
        "type": "http",
        "method": "POST",
        "path": CHAT,
        "headers": [],
        "state": {"facts": facts},
    }


async def answered(pieces: list[bytes | float], seconds: float = 0.1) -> tuple[int, Headers, bytes]:
    """What a client gets that sends these pieces, with these seconds between them, and leaves."""
    coming = iter(pieces)
    sent: list[Message] = []

    async def receive() -> Message:
        for piece in coming:
            if isinstance(piece, bytes):
                more = any(isinstance(one, bytes) for one in pieces[pieces.index(piece) + 1 :])
                return {"type": "http.request", "body": piece, "more_body": more}
            await asyncio.sleep(piece)
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        sent.append(message)

    await BodyLimitMiddleware(reading, Access(), seconds)(posting(), receive, send)
    return sent[0]["status"], Headers(raw=sent[0]["headers"]), sent[1]["body"]


async def test_a_body_that_does_not_come_is_answered_408_and_ends_the_connection() -> None:
    status, headers, body = await answered([b"a", 5.0, b"b"])
    assert (status, headers["connection"]) == (408, "close")
    assert json.loads(body)["error"]["code"] == "request_timeout"


async def test_a_body_in_drops_is_not_waited_for_either() -> None:
    drops = [item for number in range(50) for item in (b"%d" % number, 0.02)]
    assert (await answered(drops))[0] == 408


async def test_what_comes_buys_time_for_the_rest() -> None:
    """500 bytes a second are enough, however long that takes."""
    pieces = [item for number in range(8) for item in (b"%d" % number * 300, 0.04)]
    assert (await answered(pieces))[::2] == (200, b"2400")


async def test_once_the_body_is_there_nobody_hurries() -> None:
    assert (await answered([b"abc", 0.3]))[::2] == (200, b"3")


async def test_time_in_which_nobody_reads_does_not_count() -> None:
    async def slow_reader(scope: Scope, receive: Receive, send: Send) -> None:
        for _ in range(3):
            await asyncio.sleep(0.1)
            await receive()
        await Response("read")(scope, receive, send)

    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": b"a", "more_body": True}

    async def send(message: Message) -> None:
        sent.append(message)

    await BodyLimitMiddleware(slow_reader, Access(), 0.15)(posting(), receive, send)
    assert sent[0]["status"] == 200
