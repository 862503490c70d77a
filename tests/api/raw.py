"""HTTP over bare sockets, as clients speak it that no library is."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import BinaryIO

import uvicorn
from fastapi import FastAPI

from llm_api.api.http.bounded_head import BoundedHeadProtocol
from tests.live import PATIENCE_SECONDS, wait_until

START = b"GET /health HTTP/1.1\r\nhost: localhost\r\n"


@contextmanager
def served(
    app: FastAPI, protocol: type[BoundedHeadProtocol], max_connections: int | None = None
) -> Iterator[tuple[str, int]]:
    """Where uvicorn serves `app` as `main` does."""
    config = uvicorn.Config(
        app, port=0, http=protocol, ws="none", log_config=None, limit_concurrency=max_connections
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        wait_until(lambda: server.started)
        yield server.servers[0].sockets[0].getsockname()
    finally:
        server.should_exit = True
        thread.join()


@contextmanager
def connected(address: tuple[str, int]) -> Iterator[socket.socket]:
    with socket.create_connection(address, timeout=PATIENCE_SECONDS) as connection:
        yield connection


def seconds_until_end(connection: socket.socket) -> float:
    """How long the server keeps the connection. Reads what it sends."""
    began = time.monotonic()
    while connection.recv(65_536):
        pass
    return time.monotonic() - began


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes


def read_answer(reader: BinaryIO) -> Answer:
    """One answer, interim ones left out. One without a length is read to its end."""
    status, headers = 100, dict[str, str]()
    while status == 100:
        status = int(reader.readline().split()[1])
        headers = {}
        while line := reader.readline().strip():
            name, _, value = line.decode().partition(": ")
            headers[name] = value
    if headers.get("transfer-encoding") == "chunked":
        return Answer(status, headers, b"".join(_chunks(reader)))
    length = headers.get("content-length")
    return Answer(status, headers, reader.read(-1 if length is None else int(length)))


def _chunks(reader: BinaryIO) -> Iterator[bytes]:
    while size := int(reader.readline(), 16):
        yield reader.read(size)
        reader.readline()
    reader.readline()


def answer(connection: socket.socket) -> tuple[int, bytes]:
    """The status and the body of one answer."""
    [got] = answers(connection)
    return got.status, got.body


def answers(connection: socket.socket, count: int = 1, *, are_all: bool = False) -> list[Answer]:
    """The next answers. With `are_all` the connection has to end after them."""
    with connection.makefile("rb") as reader:
        found = [read_answer(reader) for _ in range(count)]
        assert not (are_all and reader.read())
    return found


def post(path: str, body: bytes, *headers: str, version: str = "1.1") -> bytes:
    """A whole request."""
    return head(path, f"content-length: {len(body)}", *headers, version=version) + body


def post_chunked(path: str, body: bytes, *headers: str) -> bytes:
    """A whole request whose body comes in three chunks."""
    third = len(body) // 3 + 1
    chunks = [body[start : start + third] for start in range(0, len(body), third)]
    framed = b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks)
    return head(path, "transfer-encoding: chunked", *headers) + framed + b"0\r\n\r\n"


def head(path: str, *headers: str, method: str = "POST", version: str = "1.1") -> bytes:
    """The head of a request that brings JSON."""
    lines = [
        f"{method} {path} HTTP/{version}",
        "host: localhost",
        "content-type: application/json",
        *headers,
    ]
    return "\r\n".join([*lines, "", ""]).encode()
