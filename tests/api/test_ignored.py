"""What is known elsewhere and cannot change an answer: accepted, and named in a header."""

import logging
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx2
import pytest
from fastapi import APIRouter, FastAPI

from llm_api.api.ignored import MAX_NAMES, Foreign, IgnoredParameters
from llm_api.api.json_body import BearingRoute
from llm_api.api.models import foreign
from llm_api.api.models.base import RequestModel
from llm_api.api.policy import POLICY, Rule
from llm_api.core.llm.types import Finished, Started, TextDelta, Usage
from tests.api.bodies import chat, completion, tool
from tests.fakes import MODEL_ID, FakeBackend, FakeServices

HEADER = "x-ignored-parameters"
CHAT = "/v1/chat/completions"
MARK = {"type": "ephemeral"}
MARKED = {"role": "user", "content": [{"type": "text", "text": "Hi", "cache_control": MARK}]}


async def test_an_ignored_parameter_is_named_once_wherever_it_stands(
    client: httpx2.AsyncClient, backend: FakeBackend
) -> None:
    body = chat(
        keep_alive="5m",
        messages=[MARKED, MARKED],
        tools=[{**tool("f"), "cache_control": MARK}],
    )
    for is_streamed in (False, True):
        answer = await client.post(CHAT, json={**body, "stream": is_streamed})
        assert answer.status_code == 200, answer.text
        assert answer.headers[HEADER] == "keep_alive, cache_control"
    first, second = backend.requests
    assert first.prompt == second.prompt


async def test_what_the_model_does_not_read_is_named_too(
    client: httpx2.AsyncClient, backend: FakeBackend
) -> None:
    backend.script = lambda _: [
        Started(5, ignored=("enable_thinking",)),
        TextDelta("Hi"),
        Finished("stop", Usage(5, 1)),
    ]
    body = chat(keep_alive=1, chat_template_kwargs={"enable_thinking": False})
    for is_streamed in (False, True):
        answer = await client.post(CHAT, json={**body, "stream": is_streamed})
        assert answer.headers[HEADER] == "keep_alive, enable_thinking"


async def test_nothing_is_named_where_nothing_is_asked_in_vain(client: httpx2.AsyncClient) -> None:
    for body in (chat(), chat(keep_alive=None)):
        answer = await client.post(CHAT, json=body)
        assert answer.status_code == 200
        assert HEADER not in answer.headers


PATHS: dict[str, tuple[Mapping[str, Foreign], dict[str, object]]] = {
    CHAT: (foreign.CHAT, chat()),
    "/v1/completions": (foreign.GENERATION, completion()),
    "/v1/responses": (foreign.GENERATION, {"model": MODEL_ID, "input": "Hi", "store": False}),
    "/generate": (foreign.GENERATION, {"prompt": "Hi"}),
    "/chat": (foreign.GENERATION, {"prompt": "Hi"}),
}
BUSY = "something else"
"""A value that is idle for no parameter."""


@pytest.mark.parametrize("path", PATHS)
async def test_every_parameter_that_cannot_change_an_answer_is_borne(
    client: httpx2.AsyncClient, path: str
) -> None:
    table, body = PATHS[path]
    borne: dict[str, object] = {name: BUSY for name, one in table.items() if not one.is_binding}
    answer = await client.post(path, json=body | borne)
    assert answer.status_code == 200, answer.text
    assert answer.headers[HEADER].split(", ") == list(borne)
    idle = {name: one.idle[0] for name, one in table.items() if one.idle}
    answer = await client.post(path, json=body | idle)
    assert answer.status_code == 200, answer.text
    assert HEADER not in answer.headers


@pytest.mark.parametrize("name", [n for n, one in foreign.CHAT.items() if one.is_binding])
@pytest.mark.parametrize("is_strict", [True, False])
async def test_what_would_change_an_answer_is_refused_by_name(
    client: httpx2.AsyncClient, services: FakeServices, name: str, is_strict: bool
) -> None:
    services.strict_parameters = is_strict
    refused = await client.post(CHAT, json=chat(**{name: BUSY}))
    assert refused.status_code == 400
    error = refused.json()["error"]
    assert (error["param"], error["code"]) == (name, "unsupported_parameter")
    assert "Only " in error["message"]


async def test_options_of_ollama_that_say_how_a_model_is_loaded_are_ignored(
    client: httpx2.AsyncClient, backend: FakeBackend
) -> None:
    answer = await client.post(CHAT, json=chat(options={"num_ctx": 8192, "num_gpu": 1, "top_k": 4}))
    assert answer.status_code == 200, answer.text
    assert answer.headers[HEADER] == "num_ctx, num_gpu"
    assert backend.requests[0].sampling.top_k == 4


async def test_what_is_ignored_stands_in_the_schema(openapi: dict[str, Any]) -> None:
    schemas = openapi["components"]["schemas"]
    shown = schemas["ChatCompletionRequest"]["properties"]
    assert foreign.CHAT.keys() <= shown.keys()
    assert shown["keep_alive"]["description"].startswith("Ignored: ")
    assert "cache_control" in schemas["ContentPart"]["properties"]


async def test_ignored_parameters_are_logged(
    client: httpx2.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG, logger="llm_api.api.middleware.reporting"):
        await client.post(CHAT, json=chat(keep_alive=0))
    assert "ignored parameters: keep_alive" in caplog.text


async def test_an_unknown_parameter_is_refused_unless_the_settings_bear_it(
    client: httpx2.AsyncClient, services: FakeServices
) -> None:
    body = completion(mood=1, stream_options={"pace": 2}, stream=True)
    refused = await client.post("/v1/completions", json=body)
    assert refused.status_code == 400
    assert "STRICT_PARAMETERS" in refused.json()["error"]["message"]
    services.strict_parameters = False
    borne = await client.post("/v1/completions", json=body)
    assert borne.status_code == 200
    assert set(borne.headers[HEADER].split(", ")) == {"mood", "pace"}


async def test_a_borne_parameter_does_not_excuse_a_wrong_one(
    client: httpx2.AsyncClient, services: FakeServices
) -> None:
    services.strict_parameters = False
    refused = await client.post(CHAT, json=chat(mood=1, temperature="hot"))
    assert refused.status_code == 400
    assert refused.json()["error"]["param"] == "temperature"


async def test_many_unknown_names_make_a_short_header(
    client: httpx2.AsyncClient, services: FakeServices
) -> None:
    services.strict_parameters = False
    parts = [
        {"type": "text", "text": "Hi", **{f"field-{part}-{one}\r\nx: y": 1 for one in range(100)}}
        for part in range(10)
    ]
    answer = await client.post(CHAT, json=chat(messages=[{"role": "user", "content": parts}]))
    assert answer.status_code == 200
    assert len(answer.headers[HEADER]) < 32 * 70
    assert answer.headers[HEADER].endswith(f"... ({1000 - MAX_NAMES} more)")
    assert "x" not in answer.headers


def test_names_are_shown_without_controls_and_cut() -> None:
    ignored = IgnoredParameters()
    assert not ignored
    ignored.note(["a,b", "é\n", "x" * 1000, "a,b"])
    assert str(ignored) == f"a%2Cb, %C3%A9%0A, {'x' * 64}"


class Inner(RequestModel):
    depth: int


class Outer(RequestModel):
    inner: Inner


@pytest.fixture
def door(app: FastAPI, monkeypatch: pytest.MonkeyPatch) -> str:
    """The path of a door that bears whatever its clients send."""
    router = APIRouter(route_class=BearingRoute)

    @router.post("/bearing")
    async def take(body: Outer) -> int:
        return body.inner.depth

    app.include_router(router)
    monkeypatch.setattr("llm_api.api.policy.POLICY", (*POLICY, Rule("/bearing")))
    return "/bearing"


async def test_a_door_may_bear_unknown_fields_always(client: httpx2.AsyncClient, door: str) -> None:
    answer = await client.post(door, json={"inner": {"depth": 3, "tone": 1}, "beta": []})
    assert (answer.status_code, answer.json()) == (200, 3)
    assert answer.headers[HEADER] == "beta, tone"


def test_every_parameter_of_other_servers_stands_in_the_documentation() -> None:
    page = (Path(__file__).parents[2] / "docs" / "clients.md").read_text(encoding="utf-8")
    section = page.split("## Parameters of other servers")[1].split("\n## ")[0]
    shown = set(re.findall(r"[a-z_]+", " ".join(re.findall(r"`([^`]*)`", section))))
    tables = (foreign.CHAT, foreign.MESSAGE, foreign.TOOL, foreign.STREAM_OPTIONS)
    names = {name for table in (*tables, foreign.REASONING, foreign.THINKING) for name in table}
    assert names - shown == set()
