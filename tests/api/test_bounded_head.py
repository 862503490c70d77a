"""A request's head may have 64 KiB, however it comes."""

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest
import uvicorn
from fastapi import FastAPI

from llm_api.api.bounded_head import MAX_HEAD_BYTES, BoundedHeadProtocol
from tests.live import wait_until


@pytest.fixture
def address(app: FastAPI) -> Iterator[tuple[str, int]]:
    """Where uvicorn serves `app` as `main` does."""
    config = uvicorn.Config(app, port=0, http=BoundedHeadProtocol, log_config=None)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    wait_until(lambda: server.started, 10)
    yield server.servers[0].sockets[0].getsockname()
    server.should_exit = True
    thread.join()


@contextmanager
def connected(address: tuple[str, int]) -> Iterator[socket.socket]:
    with socket.create_connection(address, timeout=10) as connection:
        yield connection


START = b"GET /health HTTP/1.1\r\nhost: localhost\r\n"


def answer(connection: socket.socket) -> tuple[int, bytes]:
    """The status and the body of one answer."""
    reader = connection.makefile("rb")
    status = int(reader.readline().split()[1])
    length = 0
    while line := reader.readline().strip():
        name, _, value = line.partition(b":")
        length = int(value) if name == b"content-length" else length
    return status, reader.read(length)


def test_a_head_within_the_bound_is_read(address: tuple[str, int]) -> None:
    with connected(address) as connection:
        for _ in range(3):  # each on its own, on one connection
            connection.sendall(START + b"x: " + b"a" * (MAX_HEAD_BYTES - 100) + b"\r\n\r\n")
            assert answer(connection)[0] == 200


def test_a_body_is_no_head(address: tuple[str, int]) -> None:
    body = json.dumps({"model": "x" * 3 * MAX_HEAD_BYTES}).encode()
    head = (
        b"POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\n"
        b"content-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(body)
    )
    with connected(address) as connection:
        for _ in range(2):
            connection.sendall(head + body)
            assert answer(connection)[0] == 400


@pytest.mark.parametrize(
    "head",
    [
        START + b"x: " + b"a" * MAX_HEAD_BYTES + b"\r\n\r\n",
        START + b"".join(b"x%d: a\r\n" % i for i in range(MAX_HEAD_BYTES // 4)) + b"\r\n",
        b"GET /health?" + b"a" * MAX_HEAD_BYTES + b" HTTP/1.1\r\nhost: localhost\r\n\r\n",
    ],
    ids=["one long", "many", "the path"],
)
def test_a_head_beyond_the_bound_is_refused(address: tuple[str, int], head: bytes) -> None:
    with connected(address) as connection:
        connection.sendall(head)
        status, body = answer(connection)
    assert status == 431
    assert json.loads(body)["error"]["code"] == "headers_too_large"


@pytest.mark.parametrize("start", [START + b"x: ", START + b"x", b"GET /"])
def test_a_head_without_end_is_cut_off(address: tuple[str, int], start: bytes) -> None:
    sent = 0
    with connected(address) as connection:
        connection.sendall(start)
        with suppress(ConnectionError):
            while sent < 64 * 2**20:
                sent += connection.send(b"a" * 65_536)
    assert sent < 16 * 2**20  # what the sockets between hold


def test_what_is_no_http_is_refused_as_such(address: tuple[str, int]) -> None:
    with connected(address) as connection:
        connection.sendall(b"\x16\x03\x01 hello\r\n\r\n")
        assert answer(connection)[0] == 400
