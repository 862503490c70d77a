"""What one connection can cost, whatever comes on it; and the clients that libraries are not."""

import json
import logging
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress

import pytest
from fastapi import FastAPI

from llm_api.api.http import connection
from llm_api.api.http.bounded_head import MAX_HEAD_BYTES, BoundedHeadProtocol
from llm_api.api.http.connection import LINGER_BYTES, LINGER_SECONDS
from tests.api.bodies import chat
from tests.api.raw import (
    START,
    answer,
    answers,
    connected,
    head,
    post,
    post_chunked,
    seconds_until_end,
    served,
)
from tests.fakes import FakeBackend, endless, spoken, spoken_until
from tests.live import wait_until

Address = tuple[str, int]

CHAT = "/v1/chat/completions"
BODY = json.dumps(chat()).encode()
HEALTH = START + b"\r\n"
SOON_SECONDS = 4.0
"""Less than the five after which uvicorn would close an idle connection."""
IN_SOCKETS = 64 * 2**20
"""More than the two sockets between hold: Linux lets them grow while what is sent is read."""


class ImpatientProtocol(BoundedHeadProtocol):
    """Cuts off a client that takes nothing sooner than a server would."""

    stalled_seconds = 0.3


@pytest.fixture
def address(app: FastAPI) -> Iterator[Address]:
    with served(app, BoundedHeadProtocol) as address:
        yield address


def error_code(body: bytes) -> object:
    return json.loads(body)["error"]["code"]


def sent_until_cut(connection: socket.socket, piece: bytes, most: int) -> int:
    """How much can be sent before nothing is taken any more."""
    sent = 0
    connection.settimeout(1)
    with suppress(ConnectionError, TimeoutError):
        while sent < most:
            sent += connection.send(piece)
    return sent


def bytes_until_end(connection: socket.socket) -> int:
    count = 0
    with suppress(ConnectionError):
        while piece := connection.recv(1_000_000):
            count += len(piece)
    return count


# One request at a time


@pytest.mark.parametrize("request_", [post(CHAT, BODY), post_chunked(CHAT, BODY), HEALTH])
@pytest.mark.parametrize("size", [1, 2, 3, 7, 100_000])
def test_requests_sent_in_one_go_are_answered_in_their_order(
    address: Address, request_: bytes, size: int
) -> None:
    stream = request_ + HEALTH + request_ + START + b"connection: close\r\n\r\n"
    with connected(address) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for start in range(0, len(stream), size):
            connection.sendall(stream[start : start + size])
        got = answers(connection, 4, are_all=True)
    assert [one.status for one in got] == [200] * 4
    assert b"uptime" in got[1].body
    assert got[0].body[:10] == got[2].body[:10]


def test_what_is_sent_behind_a_request_waits_in_its_sockets(
    address: Address, backend: FakeBackend
) -> None:
    is_tried = threading.Event()
    backend.script = lambda _: spoken_until(is_tried)
    with connected(address) as connection:
        connection.sendall(post(CHAT, BODY))
        wait_until(lambda: len(backend.requests) == 1)
        sent = sent_until_cut(connection, post(CHAT, BODY) * 200, 4 * IN_SOCKETS)
        asked = len(backend.requests)
        is_tried.set()
    assert sent < IN_SOCKETS
    assert asked == 1


def test_a_client_that_leaves_is_noticed_though_more_of_it_waits(
    address: Address, backend: FakeBackend
) -> None:
    backend.script = endless
    with connected(address) as connection:
        connection.sendall(post(CHAT, BODY) + b"\r\n" + HEALTH * 20)
        wait_until(lambda: len(backend.requests) == 1)
    wait_until(lambda: len(backend.aborted) == 1)


def test_answers_that_nobody_reads_are_not_made(address: Address) -> None:
    with connected(address) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sent = sent_until_cut(connection, HEALTH * 1000, 4 * IN_SOCKETS)
    assert sent < IN_SOCKETS


# Answers that come before their requests are whole


def test_an_early_answer_says_that_it_closes_and_does(address: Address) -> None:
    with connected(address) as connection:
        connection.sendall(head(CHAT, "content-length: 100000000"))
        [got] = answers(connection)
        assert (got.status, got.headers["connection"]) == (413, "close")
        assert seconds_until_end(connection) < SOON_SECONDS


@pytest.mark.parametrize("path", ["/unknown", "/v1/models"])
def test_what_still_comes_after_an_early_answer_is_not_read_on(address: Address, path: str) -> None:
    began = time.monotonic()
    with connected(address) as connection:
        connection.sendall(head(path, "transfer-encoding: chunked"))
        sent = sent_until_cut(connection, b"10000\r\n" + b"a" * 0x10000 + b"\r\n", 10 * IN_SOCKETS)
    assert sent < LINGER_BYTES + IN_SOCKETS
    assert time.monotonic() - began < LINGER_SECONDS + 10


def test_an_answer_is_read_though_its_request_was_too_large(address: Address) -> None:
    with connected(address) as connection:
        connection.sendall(head(CHAT, "content-length: 17000000") + b" " * (LINGER_BYTES // 2))
        time.sleep(0.3)  # a connection closed with bytes unread would be reset by now
        assert answer(connection)[0] == 413


def test_a_small_body_that_is_refused_costs_no_connection(address: Address) -> None:
    with connected(address) as connection:
        for _ in range(3):
            connection.sendall(post("/unknown", BODY))
            assert answer(connection)[0] == 404


# Trailers, and what else stands between the bytes of a body


@pytest.mark.parametrize(
    "piece", [b"x: " + b"a" * 1000 + b"\r\n", b"a" * 65_536], ids=["many", "one"]
)
@pytest.mark.parametrize("path", ["/unknown", CHAT])
def test_trailers_without_end_are_cut_off(address: Address, path: str, piece: bytes) -> None:
    with connected(address) as connection:
        connection.sendall(head(path, "transfer-encoding: chunked") + b"0\r\nx: ")
        assert sent_until_cut(connection, piece, 4 * IN_SOCKETS) < LINGER_BYTES + IN_SOCKETS


def test_trailers_beyond_the_bound_are_refused(address: Address, backend: FakeBackend) -> None:
    framed = b"%x\r\n%b\r\n0\r\n" % (len(BODY), BODY)
    with connected(address) as connection:
        connection.sendall(head(CHAT, "transfer-encoding: chunked") + framed)
        # Those that one read takes in beside the body are not counted: 64 kB at most.
        for _ in range(MAX_HEAD_BYTES // 1000 + 100):
            connection.sendall(b"x: " + b"a" * 1000 + b"\r\n")
            time.sleep(0.001)
        status, body = answer(connection)
    assert (status, error_code(body)) == (431, "headers_too_large")
    assert not backend.requests


def test_trailers_are_no_headers(address: Address) -> None:
    body = post_chunked(CHAT, BODY).removesuffix(b"\r\n")
    with connected(address) as connection:
        connection.sendall(body + b"content-type: text/plain\r\nhost: evil\r\n\r\n" + HEALTH)
        assert [one.status for one in answers(connection, 2)] == [200, 200]


def test_an_extension_of_a_chunk_without_end_is_cut_off(address: Address) -> None:
    with connected(address) as connection:
        connection.sendall(head(CHAT, "transfer-encoding: chunked") + b"1;a=")
        assert sent_until_cut(connection, b"a" * 65_536, 4 * IN_SOCKETS) < IN_SOCKETS


# Clients that are done sending, and clients that are gone


@pytest.mark.parametrize("version", ["1.0", "1.1"])
@pytest.mark.parametrize("stream", [False, True])
def test_a_client_that_only_stops_sending_is_answered(
    address: Address, backend: FakeBackend, version: str, stream: bool
) -> None:
    backend.script = lambda _: spoken(*"abc", pause_seconds=0.2)
    body = json.dumps(chat(stream=stream)).encode()
    with connected(address) as connection:
        connection.sendall(post(CHAT, body, version=version))
        connection.shutdown(socket.SHUT_WR)
        [got] = answers(connection, are_all=True)
    assert got.status == 200
    texts = got.body.decode().replace(":\n", "")
    assert ("data: [DONE]" in texts) == stream
    assert '"content":"c"' in texts or '"content":"abc"' in texts


def test_so_is_one_that_has_asked_twice(address: Address) -> None:
    with connected(address) as connection:
        connection.sendall(HEALTH * 2)
        connection.shutdown(socket.SHUT_WR)
        assert [one.status for one in answers(connection, 2, are_all=True)] == [200, 200]


@pytest.mark.parametrize("stream", [False, True])
def test_one_that_has_left_ends_its_generation_before_a_word_is_said(
    address: Address, backend: FakeBackend, stream: bool
) -> None:
    backend.script = lambda _: spoken("a", pause_seconds=120)
    with connected(address) as connection:
        connection.sendall(post(CHAT, json.dumps(chat(stream=stream)).encode()))
        wait_until(lambda: len(backend.requests) == 1)
    wait_until(lambda: len(backend.aborted) == 1)


def test_half_a_request_and_no_more_is_no_request(address: Address, backend: FakeBackend) -> None:
    with connected(address) as connection:
        connection.sendall(post(CHAT, BODY)[:-1])
        connection.shutdown(socket.SHUT_WR)
        assert seconds_until_end(connection) < SOON_SECONDS
    assert not backend.requests


@pytest.mark.parametrize("stream", [False, True])
def test_a_client_that_takes_nothing_is_cut_off(
    app: FastAPI, backend: FakeBackend, stream: bool
) -> None:
    backend.script = lambda _: spoken(*["word " * 200_000] * 20)
    body = json.dumps(chat(stream=stream)).encode()
    with served(app, ImpatientProtocol) as address, connected(address) as connection:
        connection.sendall(post(CHAT, body, "connection: close"))
        wait_until(lambda: len(backend.completed) == 1)
        time.sleep(1.5)
        assert bytes_until_end(connection) < 20_000_000


def test_a_client_that_takes_little_is_not(app: FastAPI, backend: FakeBackend) -> None:
    backend.script = lambda _: spoken(*["word " * 20_000] * 100)
    with served(app, ImpatientProtocol) as address, connected(address) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
        connection.sendall(post(CHAT, json.dumps(chat(stream=True)).encode(), "connection: close"))
        read = b""
        while piece := connection.recv(300_000):
            read = (read + piece)[-100:]
            time.sleep(0.01)
    assert b"data: [DONE]\n\n" in read


def test_more_connections_than_are_allowed_are_refused(
    app: FastAPI, caplog: pytest.LogCaptureFixture
) -> None:
    with served(app, BoundedHeadProtocol, max_connections=2) as address:
        with connected(address) as first, connected(address) as second:
            for connection in (first, second):
                connection.sendall(HEALTH)
                assert answer(connection)[0] == 200
            for _ in range(3):
                with connected(address) as third:
                    status, body = answer(third)
                    assert (status, error_code(body)) == (503, "too_many_connections")
            first.sendall(HEALTH)
            assert answer(first)[0] == 200
        with connected(address) as again:
            again.sendall(HEALTH)
            assert answer(again)[0] == 200
    told = [record for record in caplog.records if "MAX_CONNECTIONS" in record.getMessage()]
    assert len(told) <= 1


def test_a_flood_of_connections_is_not_held_to_be_refused(
    app: FastAPI, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "MAX_REFUSED", 2)
    with served(app, BoundedHeadProtocol, max_connections=1) as address, ExitStack() as stack:
        held = [stack.enter_context(connected(address)) for _ in range(5)]
        told = [bytes_until_end(connection) for connection in held[1:]]
    assert all(told[:2])
    assert not any(told[2:])


# Other dialects


@pytest.mark.parametrize(
    "sent",
    [
        b"\x16\x03\x01 hello\r\n\r\n",
        b"GET /\r\n\r\n",
        b"GET / HTTP/2.0\r\nhost: localhost\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"CONNECT localhost:1 HTTP/1.1\r\nhost: localhost\r\n\r\n",
        b"GET http:// HTTP/1.1\r\nhost: localhost\r\n\r\n",
        b"GET /\xff HTTP/1.1\r\nhost: localhost\r\n\r\n",
        head(CHAT, "content-length: 5", "transfer-encoding: chunked"),
        head(CHAT, "content-length: 5", "content-length: 6"),
        head(CHAT, "transfer-encoding: gzip"),
        head(CHAT, "transfer-encoding: gzip", "connection: upgrade", "upgrade: h2c"),
        head(CHAT, "transfer-encoding: chunked") + b"zz\r\n",
    ],
)
def test_what_is_no_http_is_refused_in_the_envelope(
    address: Address, caplog: pytest.LogCaptureFixture, sent: bytes
) -> None:
    with connected(address) as connection:
        connection.sendall(sent)
        [got] = answers(connection)
        assert seconds_until_end(connection) < SOON_SECONDS
    assert (got.status, error_code(got.body)) == (400, "invalid_http")
    assert got.headers["x-request-id"].startswith("req_")
    assert not [record for record in caplog.records if "Invalid HTTP" in record.getMessage()]


def test_a_websocket_is_refused_in_the_envelope_without_a_word_in_the_log(
    address: Address, caplog: pytest.LogCaptureFixture
) -> None:
    asking = head(
        "/v1/realtime",
        "connection: Upgrade",
        "upgrade: websocket",
        "sec-websocket-version: 13",
        "sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==",
        method="GET",
    )
    with connected(address) as connection:
        for _ in range(2):
            connection.sendall(asking)
            status, body = answer(connection)
            assert (status, error_code(body)) == (404, "unknown_url")
        connection.sendall(HEALTH)
        assert answer(connection)[0] == 200
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


@pytest.mark.parametrize("written", [post, post_chunked])
@pytest.mark.parametrize("size", [1, 100_000])
def test_a_client_that_would_like_http_2_is_answered_in_http_1(
    address: Address, written: Callable[..., bytes], size: int
) -> None:
    """Java's HttpClient asks so in its first request, whatever that brings."""
    asking = written(CHAT, BODY, "connection: Upgrade, HTTP2-Settings", "upgrade: h2c")
    stream = asking + asking + HEALTH
    with connected(address) as connection:
        for start in range(0, len(stream), size):
            connection.sendall(stream[start : start + size])
        assert [one.status for one in answers(connection, 3)] == [200, 200, 200]


def test_a_client_of_http_1_0_is_sent_no_chunks(address: Address) -> None:
    body = json.dumps(chat(stream=True)).encode()
    with connected(address) as connection:
        connection.sendall(post(CHAT, body, "expect: 100-continue", version="1.0"))
        [got] = answers(connection)
    assert "transfer-encoding" not in got.headers
    assert got.headers["connection"] == "close"
    assert got.body.startswith(b"data: {")
    assert got.body.endswith(b"data: [DONE]\n\n")


def test_who_asks_whether_to_send_the_body_is_told_once(address: Address) -> None:
    with connected(address) as connection:
        connection.sendall(head(CHAT, f"content-length: {len(BODY)}", "expect: 100-continue"))
        told = connection.recv(1000)
        assert told == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(BODY)
        assert connection.recv(1000).startswith(b"HTTP/1.1 200 ")
    with connected(address) as connection:
        connection.sendall(head("/unknown", "content-length: 5", "expect: 100-continue"))
        assert connection.recv(1000).startswith(b"HTTP/1.1 404 ")
