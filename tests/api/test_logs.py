"""Every line that is logged while a request is answered names it."""

import asyncio
import io
import json
import logging
from collections.abc import Iterator, Mapping
from typing import Any

import httpx2
import pytest
from starlette.types import Receive, Scope, Send

from llm_api.api.middleware.request_id import RequestIdMiddleware
from llm_api.core.utils.logs import formatter
from tests.api.bodies import chat
from tests.fakes import FakeBackend

log = logging.getLogger(__name__)

CHAT = "/v1/chat/completions"


class Lines(logging.StreamHandler[io.StringIO]):
    """The log as a program reads it."""

    def __init__(self) -> None:
        super().__init__(io.StringIO())
        self.setFormatter(formatter(is_terminal=False))

    def read(self) -> list[Mapping[str, Any]]:
        return [json.loads(line) for line in self.stream.getvalue().splitlines()]


@pytest.fixture
def lines() -> Iterator[Lines]:
    handler = Lines()
    logging.getLogger().addHandler(handler)
    yield handler
    logging.getLogger().removeHandler(handler)


async def test_a_bug_is_logged_under_the_id_that_its_client_has(
    client: httpx2.AsyncClient, backend: FakeBackend, lines: Lines
) -> None:
    backend.script = lambda _: [0.01, ValueError("a bug")]
    bodies = [chat(), chat(stream=True), chat()]
    responses = await asyncio.gather(*(client.post(CHAT, json=body) for body in bodies))
    ids = {response.headers["x-request-id"] for response in responses}
    assert {response.status_code for response in responses} == {500}
    assert {line["request_id"] for line in lines.read()} == ids
    assert len(ids) == len(lines.read()) == 3
    assert all("ValueError: a bug" in line["exception"] for line in lines.read())


async def test_a_thread_that_a_request_waits_for_names_it_and_a_later_line_does_not(
    lines: Lines,
) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        del receive
        await asyncio.to_thread(log.warning, "in a thread")
        await asyncio.create_task(asyncio.to_thread(log.warning, "in a thread of a task"))
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body"})
        assert scope["type"] == "http"

    transport = httpx2.ASGITransport(RequestIdMiddleware(app))
    async with httpx2.AsyncClient(transport=transport, base_url="http://fake") as client:
        request_id = (await client.get("/")).headers["x-request-id"]
    log.warning("afterwards")
    assert [line.get("request_id") for line in lines.read()] == [request_id, request_id, None]
