"""A real Redis for tests: the one that `REDIS_URL` names, or one that is started here."""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager

from scripts.bench.process import free_port


class NoRedisError(Exception):
    """There is none. `str(error)` says why."""


def url_of(port: int) -> str:
    return f"redis://127.0.0.1:{port}/0"


@contextmanager
def redis_on(port: int) -> Iterator[None]:
    """`redis-server` on this port, which keeps nothing. Raises NoRedisError."""
    program = shutil.which("redis-server")
    if program is None:
        raise NoRedisError("REDIS_URL is not set, and there is no redis-server on the PATH")
    arguments = [program, "--port", str(port), "--bind", "127.0.0.1", "--save", ""]
    process = subprocess.Popen(  # noqa: S603 - the program that was just found
        arguments, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        _wait_for(port)
        yield
    finally:
        process.terminate()
        process.wait(timeout=10)


@contextmanager
def running_redis() -> Iterator[str]:
    """The URL of a server that answers. Raises NoRedisError."""
    if given := os.environ.get("REDIS_URL"):
        yield given
        return
    port = free_port()
    with redis_on(port):
        yield url_of(port)


def _wait_for(port: int) -> None:
    for _ in range(500):
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.01)
        else:
            return
    raise NoRedisError("redis-server did not start within 5 seconds")
