"""HTTP over bare sockets, as clients speak it that no library is."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn
from fastapi import FastAPI

from llm_api.api.bounded_head import BoundedHeadProtocol
from tests.live import wait_until

START = b"GET /health HTTP/1.1\r\nhost: localhost\r\n"


@contextmanager
def served(app: FastAPI, protocol: type[BoundedHeadProtocol]) -> Iterator[tuple[str, int]]:
    config = uvicorn.Config(app, port=0, http=protocol, log_config=None)
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


def seconds_until_end(connection: socket.socket) -> float:
    """How long the server keeps the connection. Reads what it sends."""
    began = time.monotonic()
    while connection.recv(65_536):
        pass
    return time.monotonic() - began


def answer(connection: socket.socket) -> tuple[int, bytes]:
    """The status and the body of one answer."""
    reader = connection.makefile("rb")
    status = int(reader.readline().split()[1])
    length = 0
    while line := reader.readline().strip():
        name, _, value = line.partition(b":")
        length = int(value) if name == b"content-length" else length
    return status, reader.read(length)
