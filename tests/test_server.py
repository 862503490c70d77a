"""The process: that it says so when it can open nothing more, and goes on."""

import asyncio
import json
import os
import resource
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest

from llm_api.server import watch_descriptors
from tests.cli.command import environment
from tests.live import wait_until


@contextmanager
def no_descriptor_left() -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    first_free = os.open(os.devnull, os.O_RDONLY)
    os.close(first_free)
    resource.setrlimit(resource.RLIMIT_NOFILE, (first_free, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def test_that_no_descriptor_is_left_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    watch = asyncio.create_task(watch_descriptors(0.01))
    await asyncio.sleep(0.1)
    assert not caplog.records
    with no_descriptor_left():
        await asyncio.sleep(0.1)
    watch.cancel()
    [record] = caplog.records
    assert "ulimit -n" in record.getMessage()


@pytest.mark.timeout(60)
def test_a_server_without_descriptors_says_so_and_answers_again_once_it_has_some(
    tmp_path: Path,
) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "llm_api", "serve", "--port", "0"],
        cwd=tmp_path,
        env=environment(LLM_BACKEND="stub", EMBEDDING_BACKEND="none"),
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stderr is not None
        url = process.stderr.readline().split(" ")[0]
        port = int(url.rsplit(":", 1)[1])
        opened = len(list(Path(f"/proc/{process.pid}/fd").iterdir()))
        limits = resource.prlimit(process.pid, resource.RLIMIT_NOFILE)
        resource.prlimit(process.pid, resource.RLIMIT_NOFILE, (opened + 10, limits[1]))
        with ExitStack() as stack:
            for _ in range(30):
                connection = socket.create_connection(("127.0.0.1", port), timeout=5)
                stack.enter_context(connection)
            line = json.loads(process.stderr.readline())
        assert (line["level"], "no file descriptor" in line["message"]) == ("error", True)
        wait_until(lambda: is_healthy(port), 10)
    finally:
        process.terminate()
        process.wait(20)
        if process.stderr is not None:
            process.stderr.close()


def is_healthy(port: int) -> bool:
    time.sleep(0.05)
    with (
        suppress(ConnectionError),
        socket.create_connection(("127.0.0.1", port), timeout=5) as connection,
    ):
        connection.sendall(b"GET /health HTTP/1.1\r\nhost: localhost\r\n\r\n")
        return connection.recv(1000).startswith(b"HTTP/1.1 200")
    return False
