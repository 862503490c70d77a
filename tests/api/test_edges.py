"""HTTP at its edges: clients and proxies that do what others do not."""

import gzip
import json
import zlib
from collections.abc import AsyncIterator, Iterator
from urllib.parse import unquote

import httpx2
import pytest
from fastapi import FastAPI
from openai import OpenAI
from openai.types.chat import ChatCompletionMessageParam
from starlette.types import Message, Receive, Scope, Send

from llm_api.api.deps import set_services
from llm_api.api.http.bounded_head import BoundedHeadProtocol
from llm_api.api.middleware.content_encoding import PIECE_BYTES, BrokenEncodingError, inflater_of
from llm_api.api.middleware.served_path import ServedPathMiddleware, is_prefix
from llm_api.api.policy import Access
from llm_api.api.wiring import create_api
from tests.api.bodies import chat
from tests.api.raw import connected, head, served
from tests.fakes import MODEL_ID, FakeBackend, FakeServices
from tests.live import live_server

CHAT = "/v1/chat/completions"
BODY = json.dumps(chat()).encode()
JSON = {"content-type": "application/json"}
LIMIT = 1_000_000


def raw_deflate(data: bytes) -> bytes:
    stream = zlib.compressobj(wbits=-15)
    return stream.compress(data) + stream.flush()


# HEAD


@pytest.mark.parametrize("path", ["/health", "/v1/models", "/docs", "/openapi.json"])
async def test_head_is_get_without_the_body(client: httpx2.AsyncClient, path: str) -> None:
    got = await client.get(path)
    asked = await client.head(path)
    assert (asked.status_code, asked.content) == (200, b"")
    assert asked.headers["content-type"] == got.headers["content-type"]
    assert abs(int(asked.headers["content-length"]) - int(got.headers["content-length"])) < 10


async def test_head_of_what_is_not_there_is_404_and_of_what_is_only_posted_405(
    client: httpx2.AsyncClient, services: FakeServices
) -> None:
    assert (await client.head("/v1/models/unknown")).status_code == 404
    assert (await client.head(CHAT)).status_code == 405
    records = services.request_log.records
    assert [record["method"] for record in records] == ["HEAD", "HEAD"]


def test_a_connection_outlives_head(app: FastAPI) -> None:
    with served(app, BoundedHeadProtocol) as address, connected(address) as connection:
        asking = head("/health", method="HEAD")
        connection.sendall(asking + head("/health", "connection: close", method="GET"))
        received = b""
        while piece := connection.recv(65_536):
            received += piece
    first, second, body = received.split(b"\r\n\r\n")
    assert first.startswith(b"HTTP/1.1 200")
    assert second.startswith(b"HTTP/1.1 200"), "the first had no body"
    assert json.loads(body)["status"] == "healthy"


# Compressed bodies


@pytest.mark.parametrize(
    ("encoding", "body"),
    [
        ("gzip", gzip.compress(BODY)),
        ("x-gzip", gzip.compress(BODY[:40]) + gzip.compress(b"") + gzip.compress(BODY[40:])),
        ("deflate", zlib.compress(BODY)),
        ("Deflate", raw_deflate(BODY)),
        ("identity", BODY),
    ],
    ids=range(5),
)
async def test_a_compressed_body_is_read(
    client: httpx2.AsyncClient, backend: FakeBackend, encoding: str, body: bytes
) -> None:
    answer = await client.post(CHAT, content=body, headers=JSON | {"content-encoding": encoding})
    assert answer.status_code == 200, answer.text
    assert len(backend.requests) == 1


@pytest.mark.parametrize(
    ("encoding", "body", "status", "code"),
    [
        ("br", BODY, 415, "unsupported_content_encoding"),
        ("gzip, gzip", BODY, 415, "unsupported_content_encoding"),
        ("gzip", BODY, 400, "invalid_content_encoding"),
        ("gzip", gzip.compress(BODY)[:-5], 400, "invalid_content_encoding"),
        ("gzip", gzip.compress(BODY) + b"\0\0", 400, "invalid_content_encoding"),
        ("deflate", zlib.compress(BODY) + zlib.compress(BODY), 400, "invalid_content_encoding"),
        ("gzip", gzip.compress(b" " * (LIMIT + 1)), 413, "request_too_large"),
        ("gzip", gzip.compress(b" " * 50 * LIMIT), 413, "request_too_large"),
        ("gzip", gzip.compress(b"") * (LIMIT // 20 + 1), 413, "request_too_large"),
        ("deflate", zlib.compress(b" " * 50 * LIMIT), 413, "request_too_large"),
    ],
    ids=range(10),
)
async def test_a_compressed_body_is_refused_for_what_it_is(
    services: FakeServices, encoding: str, body: bytes, status: int, code: str
) -> None:
    app = create_api(version="0", access=Access(max_body_bytes=LIMIT))
    set_services(app, services)
    transport = httpx2.ASGITransport(app)
    async with httpx2.AsyncClient(transport=transport, base_url="http://localhost") as client:
        headers = JSON | {"content-encoding": encoding}
        for content in (body, in_pieces(body)):
            answer = await client.post(CHAT, content=content, headers=headers)
            assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)
            if status == 415:
                assert answer.headers["accept-encoding"] == "gzip, deflate"


class in_pieces(httpx2.AsyncByteStream):  # noqa: N801 - reads as a function
    """A body without a length, as its client makes it."""

    def __init__(self, body: bytes) -> None:
        self._body = body

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for start in range(0, len(self._body), 1000):
            yield self._body[start : start + 1000]


def test_a_bomb_is_never_larger_in_memory_than_a_piece() -> None:
    inflater = inflater_of("gzip")
    assert inflater is not None
    inflater.feed(gzip.compress(bytes(20_000_000)))
    sizes = []
    while inflater.has_more:
        sizes.append(len(inflater.take()))
    assert (sum(sizes), max(sizes)) == (20_000_000, PIECE_BYTES)
    assert inflater.is_whole


@pytest.mark.parametrize("size", [1, 5, 1000])
def test_where_a_compressed_body_is_cut_does_not_matter(size: int) -> None:
    data = bytes(range(256)) * 3000
    for encoding, body in (
        ("gzip", gzip.compress(data[:5]) + gzip.compress(data[5:])),
        ("deflate", zlib.compress(data)),
        ("deflate", raw_deflate(data)),
    ):
        inflater = inflater_of(encoding)
        assert inflater is not None
        got = b""
        for start in range(0, len(body), size):
            inflater.feed(body[start : start + size])
            while inflater.has_more:
                got += inflater.take()
        assert got == data
        assert inflater.is_whole


def test_what_is_not_compressed_is_broken() -> None:
    inflater = inflater_of("gzip")
    assert inflater is not None
    inflater.feed(b"{}")
    with pytest.raises(BrokenEncodingError):
        inflater.take()


# A byte order mark


async def test_a_byte_order_mark_before_json_is_passed_over(client: httpx2.AsyncClient) -> None:
    answer = await client.post(CHAT, content=b"\xef\xbb\xbf" + BODY, headers=JSON)
    assert answer.status_code == 200
    answer = await client.post(CHAT, content=b"\xef\xbb\xbf" * 2 + BODY, headers=JSON)
    assert answer.json()["error"]["code"] == "invalid_json"


def test_so_it_is_before_a_message_of_mcp(base_url: str) -> None:
    message = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
    answers = [
        httpx2.post(
            base_url + "/mcp/",
            content=mark + json.dumps(message).encode(),
            headers=JSON | {"accept": "application/json, text/event-stream"},
        )
        for mark in (b"", b"\xef\xbb\xbf")
    ]
    assert [one.status_code for one in answers] == [200, 200], answers[1].text
    assert answers[0].text == answers[1].text


# Slashes at the end


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/health/"),
        ("GET", "/v1/models/"),
        ("GET", f"/v1/models/{MODEL_ID}/"),
        ("POST", "/v1/chat/completions/"),
        ("GET", "/docs/"),
    ],
)
async def test_a_slash_at_the_end_changes_nothing(
    client: httpx2.AsyncClient, method: str, path: str
) -> None:
    body = {"content": BODY} if method == "POST" else {}
    got = await client.request(method, path, headers=JSON, **body)  # type: ignore[arg-type]
    plain = await client.request(method, path[:-1], headers=JSON, **body)  # type: ignore[arg-type]
    assert (got.status_code, plain.status_code) == (200, 200)
    assert got.text[:15] == plain.text[:15]


@pytest.mark.parametrize("path", ["/health//", "/health%2F", "/v1//models"])
async def test_other_slashes_make_another_path(client: httpx2.AsyncClient, path: str) -> None:
    assert (await client.get(path)).status_code == 404


@pytest.mark.parametrize(
    ("raw_path", "served_path"),
    [
        ("/v1/rag/documents/a/", "/v1/rag/documents/a/"),
        ("/v1/rag/documents/a%2F", "/v1/rag/documents/a/"),
        ("/v1/rag/documents/", "/v1/rag/documents"),
        ("/v1/models/a%2F", "/v1/models/a/"),
        ("/v1/models/a/", "/v1/models/a"),
    ],
)
async def test_a_slash_at_the_end_of_an_id_is_part_of_it(raw_path: str, served_path: str) -> None:
    path, _ = await served_as(raw_path, Access())
    assert path == served_path


async def served_as(raw_path: str, access: Access) -> tuple[str, bytes]:
    """The path that the server sees, and the Location that the client does."""
    seen: list[str] = []
    sent: list[Message] = []

    async def app(scope: Scope, _receive: Receive, send: Send) -> None:
        seen.append(scope["path"])
        headers = [(b"location", b"/v1/rag/jobs/1")]
        await send({"type": "http.response.start", "status": 202, "headers": headers})

    async def receive() -> Message:
        raise AssertionError

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {"type": "http", "path": unquote(raw_path), "raw_path": raw_path.encode()}
    await ServedPathMiddleware(app, access)(scope | {"headers": []}, receive, send)
    return seen[0], dict(sent[0]["headers"])[b"location"]


# Behind a path of a proxy


@pytest.fixture
def prefixed(services: FakeServices) -> FastAPI:
    app = create_api(version="0", access=Access(root_path="/llm"))
    set_services(app, services)
    return app


@pytest.fixture
def prefixed_url(prefixed: FastAPI) -> Iterator[str]:
    with live_server(prefixed) as url:
        yield url


def test_the_official_sdk_talks_below_a_prefix(prefixed_url: str) -> None:
    with OpenAI(base_url=f"{prefixed_url}/llm/v1", api_key="unused", max_retries=0) as sdk:
        messages: list[ChatCompletionMessageParam] = [{"role": "user", "content": "Hi"}]
        whole = sdk.chat.completions.create(model=MODEL_ID, messages=messages)
        assert whole.choices[0].message.content == "Hello world!"
        stream = sdk.chat.completions.create(model=MODEL_ID, messages=messages, stream=True)
        assert "".join(one.choices[0].delta.content or "" for one in stream) == "Hello world!"
        assert next(one.id for one in sdk.models.list()) == MODEL_ID


def test_both_kinds_of_proxy_are_served(prefixed_url: str) -> None:
    for path in ("/llm/health", "/health", "/llm/health/", "/llm", "/llm/"):
        assert httpx2.get(prefixed_url + path).status_code == 200
    for path in ("/llm/llm/health", "/llmhealth", "/LLM/health"):
        assert httpx2.get(prefixed_url + path).status_code == 404


@pytest.mark.parametrize("path", ["/llm/docs", "/docs"])
def test_the_page_finds_its_scripts_below_the_prefix(prefixed_url: str, path: str) -> None:
    page = httpx2.get(prefixed_url + path).text
    for url in ("/llm/openapi.json", "/llm/docs/assets/swagger-ui-bundle.js"):
        assert url in page
        assert httpx2.get(prefixed_url + url).status_code == 200
    assert httpx2.get(prefixed_url + "/llm/openapi.json").json()["servers"] == [{"url": "/llm"}]


async def test_the_place_of_something_new_is_below_the_prefix() -> None:
    path, location = await served_as("/llm/v1/rag/files", Access(root_path="/llm"))
    assert (path, location) == ("/v1/rag/files", b"/llm/v1/rag/jobs/1")


@pytest.mark.parametrize(
    ("client_address", "forwarded", "begins"),
    [
        ("127.0.0.1", "/team/llm", "/team/llm/openapi.json"),
        ("127.0.0.1", "/team/llm/", "/team/llm/openapi.json"),
        ("::1", "/team", "/team/openapi.json"),
        ("192.0.2.1", "/team", "'/openapi.json"),
        ("unix", "/team", "'/openapi.json"),
        ("127.0.0.1", "/v1", "'/openapi.json"),
        ("127.0.0.1", "//evil.example", "'/openapi.json"),
        ("127.0.0.1", "https://evil.example", "'/openapi.json"),
        ("127.0.0.1", "/a'><script>", "'/openapi.json"),
        ("127.0.0.1", "/" + "a" * 500, "'/openapi.json"),
    ],
)
async def test_a_prefix_is_believed_of_a_trusted_proxy(
    app: FastAPI, client_address: str, forwarded: str, begins: str
) -> None:
    transport = httpx2.ASGITransport(app, client=(client_address, 1))
    async with httpx2.AsyncClient(transport=transport, base_url="http://localhost") as client:
        page = await client.get("/docs", headers={"x-forwarded-prefix": forwarded})
        assert begins in page.text


async def test_a_header_takes_nothing_off_a_path(client: httpx2.AsyncClient) -> None:
    answer = await client.get("/team/health", headers={"x-forwarded-prefix": "/team"})
    assert answer.status_code == 404


@pytest.mark.parametrize("prefix", ["/llm", "/a/b.c_d~e-f", "/v1x", "/team/v1"])
def test_a_path_that_is_not_ours_may_be_a_prefix(prefix: str) -> None:
    assert is_prefix(prefix)


@pytest.mark.parametrize(
    "prefix",
    [
        *("", "/", "llm", "/llm/", "//llm", "/a/../b", "/.", "/a b", "/a?b", "/%41", "/é"),
        *("/v1", "/v1/rag", "/chat", "/chat/x", "/docs", "/mcp", "/" + "a" * 200),
    ],
)
def test_other_paths_may_not(prefix: str) -> None:
    assert not is_prefix(prefix)
