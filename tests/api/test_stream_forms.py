"""Streams as lines of JSON, over a real socket: the same events, failures, ends and goodbyes."""

import json
import socket
import threading
from urllib.parse import urlsplit

import httpx2
import pytest
from fastapi import APIRouter, FastAPI, Request, Response

from llm_api.api.answers import Generation, answer, new_head
from llm_api.api.deps import Services
from llm_api.api.draining import draining_of
from llm_api.api.mapping.chat import to_chat_requests
from llm_api.api.mapping.chat_answers import ChatAnswerWriter
from llm_api.api.models.chat import ChatCompletionRequest
from llm_api.api.stream_forms import NDJSON, SSE, TextFrames
from llm_api.core.errors import GenerationError
from llm_api.core.llm.types import RequestContext, TextDelta
from tests.api.bodies import chat
from tests.fakes import FakeBackend, endless, spoken
from tests.live import PATIENCE_SECONDS, live_server, stoppable_server, wait_until

LINES = "/v1/rag/lines"
"""A path that the policy knows, and no resource has."""


@pytest.fixture
def lines_app(app: FastAPI) -> FastAPI:
    """Chat completions whose streams are lines, beside the rest."""
    router = APIRouter()

    @router.post(LINES)
    async def create(request: Request, body: ChatCompletionRequest, services: Services) -> Response:
        backend = services.models.resolve(body.model, RequestContext())
        requests = to_chat_requests(body, backend.card.defaults)
        head = new_head("line", body.model, "0")
        generation = Generation(RequestContext(), backend, requests)
        return await answer(request, generation, lambda _: ChatAnswerWriter(head, body), NDJSON)

    app.include_router(router)
    return app


@pytest.mark.parametrize(
    "text", ["a", 'say "hi"\n', "é ∑ 😀", "\u0000\u007f\ufdd0 text", "</script>"]
)
@pytest.mark.parametrize("fields", [{}, {"stream_options": {"include_usage": True}}])
def test_a_frame_that_is_filled_in_is_the_one_that_would_be_made(
    text: str, fields: dict[str, object]
) -> None:
    body = ChatCompletionRequest.model_validate(chat(stream=True, **fields))
    writer = ChatAnswerWriter(new_head("line", body.model, "0"), body)

    def make(said: str) -> bytes:
        return SSE.frame(writer.delta(0, TextDelta(said)))

    assert writer.has_steady_text
    assert TextFrames(make).with_text(text) == make(text)


def test_a_text_with_log_probabilities_is_not_filled_in() -> None:
    body = ChatCompletionRequest.model_validate(chat(stream=True, logprobs=True))
    assert not ChatAnswerWriter(new_head("line", body.model, "0"), body).has_steady_text


def read(url: str) -> list[dict[str, object]]:
    got = httpx2.post(url + LINES, json=chat(stream=True), timeout=PATIENCE_SECONDS)
    assert got.headers["content-type"] == "application/x-ndjson"
    assert got.headers["x-accel-buffering"] == "no"
    assert got.text.endswith("\n")
    return [json.loads(line) for line in got.text.splitlines()]


def test_every_chunk_is_a_line_and_nothing_stands_between(
    lines_app: FastAPI, backend: FakeBackend
) -> None:
    backend.script = lambda _: spoken("a", "b", pause_seconds=0.3)  # pings are due each 0.1
    with live_server(lines_app) as url:
        assert [line["object"] for line in read(url)] == ["chat.completion.chunk"] * 4


def test_a_failure_in_mid_stream_is_a_line_and_the_end(
    lines_app: FastAPI, backend: FakeBackend
) -> None:
    backend.script = lambda _: [*spoken("a")[:-1], GenerationError("The engine failed.")]
    with live_server(lines_app) as url:
        assert read(url)[-1] == {"error": "The engine failed."}


def test_a_stream_that_outlasts_the_end_says_so_in_a_line(
    lines_app: FastAPI, backend: FakeBackend
) -> None:
    backend.script = endless
    got: list[dict[str, object]] = []
    with stoppable_server(lines_app, drain_seconds=0.1) as (url, server):
        reading = threading.Thread(target=lambda: got.extend(read(url)))
        reading.start()
        wait_until(lambda: bool(backend.requests))
        server.should_exit = True
        wait_until(lambda: draining_of(lines_app).has_begun)
        reading.join(PATIENCE_SECONDS)
    assert not reading.is_alive()
    assert got[-1] == {"error": "The server is stopping; try again."}
    assert len(backend.aborted) == 1


def test_a_client_that_leaves_ends_the_generation(lines_app: FastAPI, backend: FakeBackend) -> None:
    backend.script = endless
    with live_server(lines_app) as url:
        body = json.dumps(chat(stream=True)).encode()
        head = (
            f"POST {LINES} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        )
        address = urlsplit(url)
        with socket.create_connection((address.hostname, address.port), 10) as connection:
            connection.sendall(head.encode() + body)
            assert b"application/x-ndjson" in connection.recv(4096)
        wait_until(lambda: len(backend.aborted) == 1)
