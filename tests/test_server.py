"""The process: that it says so when it can open nothing more, and goes on."""

import asyncio
import json
import os
import resource
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import httpx2
import pytest

from llm_api.server import is_every_address, watch_descriptors
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
    with no_descriptor_left():
        await asyncio.sleep(0.1)
    watch.cancel()
    here = threading.get_ident()  # servers of other tests watch from theirs
    [record] = [one for one in caplog.records if one.thread == here]
    assert "ulimit -n" in record.getMessage()


@pytest.mark.timeout(60)
def test_a_server_without_descriptors_says_so_and_answers_again_once_it_has_some(
    tmp_path: Path,
) -> None:
    with served(tmp_path, "--port", "0") as (process, port):
        assert process.stderr is not None
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


@pytest.mark.timeout(60)
@pytest.mark.parametrize("workers", ["1", "2"])
def test_every_address_is_of_both_families(tmp_path: Path, workers: str) -> None:
    options = ("--host", "::", "--port", "0", "--workers", workers)
    with served(tmp_path, *options, API_KEY="k") as (process, port):
        assert is_healthy(port, "127.0.0.1")
        assert is_healthy(port, "::1")
        process.terminate()
        assert process.wait(20) == 0


@pytest.mark.timeout(60)
def test_an_address_of_both_families_that_is_taken_ends_the_start(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        with started(tmp_path, "--host", "::", "--port", port, API_KEY="k") as process:
            _, told = process.communicate(timeout=30)
    assert process.returncode != 0
    assert "another program listens there" in told


@pytest.mark.timeout(60)
@pytest.mark.parametrize("workers", ["1", "2"])
def test_the_same_process_listens_where_ollama_does(tmp_path: Path, workers: str) -> None:
    second = free_port()
    options = ("--port", "0", "--workers", workers)
    with served(tmp_path, *options, OLLAMA_PORT=str(second)) as (process, port):
        assert (said_at(port), said_at(second)) == ("llm_api is running", "Ollama is running")
        process.terminate()
        assert process.wait(20) == 0
    with pytest.raises(ConnectionError):
        socket.create_connection(("127.0.0.1", second), timeout=5)


def test_a_second_port_that_is_taken_ends_the_start_in_one_line(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with started(tmp_path, "--port", "0", OLLAMA_PORT=str(port)) as process:
            _, told = process.communicate(timeout=30)
    assert process.returncode == 1
    assert told == (
        f"Error: OLLAMA_PORT {port} of 127.0.0.1: another program listens there; end it, or set"
        " another OLLAMA_PORT\n"
    )


def test_one_port_twice_ends_the_start_in_one_line(tmp_path: Path) -> None:
    with started(tmp_path, "--port", "8000", OLLAMA_PORT="8000") as process:
        _, told = process.communicate(timeout=30)
    assert process.returncode == 2
    assert told.splitlines()[-1].endswith("OLLAMA_PORT: must be another port than PORT")


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


def said_at(port: int) -> str:
    return httpx2.get(f"http://127.0.0.1:{port}/").text


@pytest.mark.parametrize(
    ("host", "is_every"),
    [("::", True), ("0:0::0", True), ("::1", False), ("127.0.0.1", False), ("localhost", False)],
)
def test_one_address_is_every_address(host: str, is_every: bool) -> None:
    assert is_every_address(host) == is_every


@contextmanager
def served(folder: Path, *options: str, **env: str) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """A server that answers, and its port."""
    with started(folder, *options, **env) as process:
        assert process.stderr is not None
        line = ""
        while " serves " not in line:
            line = process.stderr.readline()
            assert line, "it has ended"
        yield process, int(line.split(" ")[0].rsplit(":", 1)[1])


@contextmanager
def started(folder: Path, *options: str, **env: str) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(  # noqa: S603 - our own interpreter
        [sys.executable, "-m", "llm_api", "serve", *options],
        cwd=folder,
        env=environment(LLM_BACKEND="stub", EMBEDDING_BACKEND="none", **env),
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.terminate()
        process.wait(20)
        if process.stderr is not None:
            process.stderr.close()


def is_healthy(port: int, host: str = "127.0.0.1") -> bool:
    time.sleep(0.05)
    with (
        suppress(ConnectionError),
        socket.create_connection((host, port), timeout=5) as connection,
    ):
        connection.sendall(b"GET /health HTTP/1.1\r\nhost: localhost\r\n\r\n")
        return connection.recv(1000).startswith(b"HTTP/1.1 200")
    return False
