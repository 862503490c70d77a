"""A request's head may have 64 KiB and some seconds, however it comes."""

import json
import socket
import time
from collections.abc import Iterator
from contextlib import suppress

import pytest
from fastapi import FastAPI

from llm_api.api.http.bounded_head import MAX_HEAD_BYTES, BoundedHeadProtocol
from tests.api.bodies import chat
from tests.api.raw import START, answer, connected, seconds_until_end, served
from tests.fakes import FakeBackend, spoken

SOON_SECONDS = 4.0
"""Less than the five after which uvicorn would close an idle connection."""


class HastyProtocol(BoundedHeadProtocol):
    """Waits no longer for a head than a test wants to."""

    head_seconds = 0.3


@pytest.fixture
def address(app: FastAPI) -> Iterator[tuple[str, int]]:
    """Where uvicorn serves `app` as `main` does."""
    with served(app, BoundedHeadProtocol) as address:
        yield address


@pytest.fixture
def hasty(app: FastAPI) -> Iterator[tuple[str, int]]:
    with served(app, HastyProtocol) as address:
        yield address


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


def test_a_head_that_comes_too_slowly_is_answered_408(hasty: tuple[str, int]) -> None:
    with connected(hasty) as connection:
        connection.sendall(START)
        began = time.monotonic()
        connection.settimeout(0.02)
        with suppress(ConnectionError):
            while time.monotonic() - began < 5:
                connection.sendall(b"x: a\r\n")  # more of it does not buy more time
                with suppress(TimeoutError):
                    assert connection.recv(1, socket.MSG_PEEK)
                    break
        assert 0.25 < time.monotonic() - began < SOON_SECONDS
        connection.settimeout(10)
        status, body = answer(connection)
    assert status == 408
    assert json.loads(body)["error"]["code"] == "request_timeout"


@pytest.mark.parametrize("said", [b"", b"\r\n"])
def test_who_connects_and_asks_nothing_is_let_go(hasty: tuple[str, int], said: bytes) -> None:
    with connected(hasty) as connection:
        connection.sendall(said)
        assert 0.25 < seconds_until_end(connection) < SOON_SECONDS


def test_so_is_who_says_nothing_more_after_an_answer(hasty: tuple[str, int]) -> None:
    with connected(hasty) as connection:
        connection.sendall(START + b"\r\n")
        assert answer(connection)[0] == 200
        connection.sendall(b"\r\n")  # which ends the time that uvicorn would wait
        assert 0.25 < seconds_until_end(connection) < SOON_SECONDS


def test_a_head_that_waits_behind_an_answer_does_not_end_it(
    hasty: tuple[str, int], backend: FakeBackend
) -> None:
    backend.script = lambda _: spoken(*"abc", pause_seconds=0.3)
    body = json.dumps(chat()).encode()
    head = (
        b"POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\n"
        b"content-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(body)
    )
    with connected(hasty) as connection:
        connection.sendall(head + body + b"GET /hea")
        status, content = answer(connection)
        assert (status, json.loads(content)["choices"][0]["message"]["content"]) == (200, "abc")
        connection.sendall(b"lth HTTP/1.1\r\nhost: localhost\r\n\r\n")
        assert answer(connection)[0] == 200


def test_a_long_answer_and_a_long_body_are_no_head(
    hasty: tuple[str, int], backend: FakeBackend
) -> None:
    backend.script = lambda _: spoken("a", pause_seconds=0.6)
    body = json.dumps(chat()).encode()
    head = (
        b"POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\n"
        b"content-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(body)
    )
    with connected(hasty) as connection:
        connection.sendall(head + body[:5])
        time.sleep(0.6)
        connection.sendall(body[5:])
        assert answer(connection)[0] == 200
