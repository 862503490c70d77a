"""The end of the service, over a real socket: who is let in, who may finish, who is told."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import httpx2
import pytest
from fastapi import FastAPI

from llm_api.api.draining import draining_of
from llm_api.core.llm.types import Started
from llm_api.server import Server
from tests.api.bodies import chat
from tests.fakes import FakeBackend, endless, spoken, spoken_until
from tests.live import PATIENCE_SECONDS, stoppable_server, wait_until

CHAT = "/v1/chat/completions"


@contextmanager
def reading(url: str, **fields: object) -> Iterator[list[str]]:
    """The data of a stream, as far as they have come; it has ended after the block."""
    lines: list[str] = []

    def read() -> None:
        with httpx2.stream(
            "POST", url + CHAT, json=chat(stream=True, **fields), timeout=PATIENCE_SECONDS
        ) as got:
            lines.extend(line for line in got.iter_lines() if line.startswith("data: "))

    reader = threading.Thread(target=read)
    reader.start()
    try:
        yield lines
    finally:
        reader.join(PATIENCE_SECONDS)
    assert not reader.is_alive()


def stop(server: Server, app: FastAPI) -> None:
    """As the signal does; returns when it has been noticed."""
    server.should_exit = True
    wait_until(lambda: draining_of(app).has_begun)


def test_a_stream_that_runs_at_the_end_finishes(app: FastAPI, backend: FakeBackend) -> None:
    backend.script = lambda _: spoken(*["word "] * 10, pause_seconds=0.05)
    with stoppable_server(app, drain_seconds=60) as (url, server):
        began = time.monotonic()
        with reading(url) as lines:
            wait_until(lambda: bool(backend.requests))
            stop(server, app)
        assert time.monotonic() - began < 30, "it did not wait for all of its sixty seconds"
    assert lines[-1] == "data: [DONE]"
    assert sum("word" in line for line in lines) == 10
    assert len(backend.completed) == 1


def test_a_stream_that_outlasts_the_end_says_so(app: FastAPI, backend: FakeBackend) -> None:
    backend.script = endless
    with stoppable_server(app, drain_seconds=0.3) as (url, server):
        with reading(url, n=2) as lines:
            wait_until(lambda: len(backend.requests) == 2)
            stop(server, app)
        assert len(backend.aborted) == 2
    error = json.loads(lines[-1].removeprefix("data: "))["error"]
    assert (error["type"], error["code"], error["param"]) == (
        "server_error",
        "model_unavailable",
        None,
    )
    assert "data: [DONE]" not in lines
    assert any("more" in line for line in lines), "it had been running"


@pytest.mark.parametrize("stream", [False, True])
def test_an_answer_that_has_not_begun_in_time_is_refused(
    app: FastAPI, backend: FakeBackend, stream: bool
) -> None:
    backend.script = lambda _: [60.0, Started(1)]
    answers: list[httpx2.Response] = []
    with stoppable_server(app, drain_seconds=0.1) as (url, server):
        body = chat(stream=stream)
        asking = threading.Thread(
            target=lambda: answers.append(
                httpx2.post(url + CHAT, json=body, timeout=PATIENCE_SECONDS)
            )
        )
        asking.start()
        wait_until(lambda: bool(backend.requests))
        stop(server, app)
        asking.join(PATIENCE_SECONDS)
        assert len(backend.aborted) == 1
    [answer] = answers
    assert answer.status_code == 503
    assert answer.json()["error"]["code"] == "model_unavailable"


def test_while_streams_finish_nobody_else_is_let_in(app: FastAPI, backend: FakeBackend) -> None:
    are_refused = threading.Event()
    backend.script = lambda _: spoken_until(are_refused)
    with stoppable_server(app, drain_seconds=60) as (url, server):
        assert httpx2.get(url + "/health/ready").status_code == 200
        with reading(url) as lines:
            wait_until(lambda: bool(backend.requests))
            stop(server, app)
            ready = httpx2.get(url + "/health/ready")
            alive = httpx2.get(url + "/health")
            refused = httpx2.post(url + CHAT, json=chat())
            are_refused.set()
        assert lines[-1] == "data: [DONE]"
    assert (ready.status_code, ready.json()["status"]) == (503, "not_ready")
    assert alive.status_code == 200
    assert refused.status_code == 503
    assert refused.json()["error"]["type"] == "server_error"
    assert refused.headers["retry-after"]
    assert refused.headers["connection"] == "close"
    assert refused.headers["x-request-id"].startswith("req_")
    assert len(backend.requests) == 1


def test_a_server_without_requests_ends_at_once(app: FastAPI) -> None:
    with stoppable_server(app, drain_seconds=60) as (url, server):
        httpx2.get(url + "/health")
        began = time.monotonic()
        server.should_exit = True
    assert time.monotonic() - began < 30


def test_a_second_order_to_end_does_not_wait(app: FastAPI, backend: FakeBackend) -> None:
    backend.script = endless
    with stoppable_server(app, drain_seconds=60) as (url, server):
        began = time.monotonic()
        with reading(url) as lines:
            wait_until(lambda: bool(backend.requests))
            stop(server, app)
            server.force_exit = True
        assert time.monotonic() - began < 30
    assert '"code":"model_unavailable"' in lines[-1]
