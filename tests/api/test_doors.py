"""Each door's own form of errors and headers, whatever refuses the request."""

from typing import Any

import httpx2
import pytest
from starlette.types import Scope

from llm_api.api.doors import Door, door_of
from llm_api.api.errors import Failure, error_text
from llm_api.core.access.keys import Limits
from llm_api.core.errors import OverloadedError
from tests.api.keyed import BEARER, api_key, keyed_app, talking_to
from tests.fakes import MODEL_ID, FakeBackend, FakeServices

FOREIGN = ["/v1/messages", "/v1/messages/count_tokens", "/api/chat", "/v2/rerank"]


def asked(path: str, *headers: tuple[bytes, bytes]) -> Scope:
    return {"type": "http", "path": path, "headers": headers}


@pytest.mark.parametrize(
    ("path", "door"),
    [
        ("/v1/messages", "anthropic"),
        ("/v1/messages/count_tokens", "anthropic"),
        ("/v1/messages2", "openai"),
        ("/api/chat", "ollama"),
        ("/apis", "openai"),
        ("/rerank", "rerank"),
        ("/v2/rerank", "rerank"),
        ("/v1/models", "openai"),
        ("/", "openai"),
    ],
)
def test_a_path_belongs_to_one_door(path: str, door: Door) -> None:
    assert door_of(asked(path)) == door


def test_models_are_anthropics_for_its_clients() -> None:
    version = (b"anthropic-version", b"2023-06-01")
    assert door_of(asked("/v1/models", version)) == "anthropic"
    assert door_of(asked("/v1/models/a/b", version)) == "anthropic"
    assert door_of(asked("/v1/embeddings", version)) == "openai"


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, "invalid_request_error"),
        (401, "authentication_error"),
        (403, "permission_error"),
        (404, "not_found_error"),
        (405, "invalid_request_error"),
        (413, "request_too_large"),
        (429, "rate_limit_error"),
        (500, "api_error"),
        (503, "overloaded_error"),
        (504, "timeout_error"),
    ],
)
def test_anthropics_errors_are_named_by_their_status(status: int, kind: str) -> None:
    text = error_text(Failure(status, "x", "No."), "anthropic", "req_1")
    expected = (
        f'{{"type":"error","error":{{"type":"{kind}","message":"No."}},"request_id":"req_1"}}'
    )
    assert text == expected


def test_agents_read_that_a_prompt_is_too_long() -> None:
    failure = Failure(400, "x", "Shorten it.", "context_length_exceeded")
    assert "prompt is too long: Shorten it." in error_text(failure, "anthropic")


def message_of(response: httpx2.Response) -> str:
    """The message, from the place where the door's clients look for it."""
    body: dict[str, Any] = response.json()
    path = response.request.url.path
    if path.startswith("/v1/messages"):
        assert body.keys() == {"type", "error", "request_id"}
        assert body["request_id"] == response.headers["request-id"]
        return str(body["error"]["message"])
    if path.startswith("/api"):
        assert isinstance(body["error"], str)
        return str(body["error"])
    assert body["message"] == body["error"]["message"]
    return str(body["message"])


@pytest.mark.parametrize("path", FOREIGN)
async def test_the_middlewares_refusals_have_the_doors_form(
    services: FakeServices, path: str
) -> None:
    """A key that is missing, one without the scope, a body that is too large, a spent limit."""
    key = api_key(limits=Limits(requests_per_minute=1))
    async with talking_to(keyed_app(services, key)) as client:
        unknown = await client.post(path, json={})
        assert unknown.status_code == 401
        assert "API key" in message_of(unknown)
        large = await client.post(path, headers={**BEARER, "content-length": "999999999"})
        assert large.status_code in (404, 413)
        assert message_of(large)
        spent = await client.post(path, headers=BEARER, json={})
        assert spent.status_code in (404, 429)
        assert message_of(spent)


@pytest.mark.parametrize("path", ["/v1/models", "/v1/models/x"])
async def test_a_limited_key_is_told_its_limits_by_anthropics_names(
    services: FakeServices, path: str
) -> None:
    key = api_key(limits=Limits(requests_per_minute=3))
    async with talking_to(keyed_app(services, key), **BEARER) as client:
        plain = await client.get(path)
        named = await client.get(path, headers={"anthropic-version": "2023-06-01"})
    assert "anthropic-ratelimit-requests-limit" not in plain.headers
    assert named.headers["anthropic-ratelimit-requests-limit"] == "3"
    assert named.headers["anthropic-ratelimit-requests-remaining"] == "1"
    assert named.headers["anthropic-ratelimit-requests-reset"].endswith("Z")
    assert named.headers["x-ratelimit-limit-requests"] == "3"


TALK = {"model": MODEL_ID, "messages": [{"role": "user", "content": "Hi"}]}
ASKED: list[tuple[str, dict[str, Any]]] = [
    ("/v1/chat/completions", TALK),
    ("/v1/completions", {"model": MODEL_ID, "prompt": "Hi"}),
    ("/v1/responses", {"model": MODEL_ID, "input": "Hi"}),
    ("/v1/messages", {**TALK, "max_tokens": 9}),
    ("/infill", {"input_prefix": "a", "input_suffix": "b"}),
    ("/api/chat", TALK),
    ("/api/generate", {"model": MODEL_ID, "prompt": "Hi"}),
]


@pytest.mark.parametrize("is_streamed", [False, True])
async def test_a_full_queue_says_at_every_door_when_to_come_again(
    client: httpx2.AsyncClient, backend: FakeBackend, is_streamed: bool
) -> None:
    backend.script = lambda _: [OverloadedError("Full.", retry_after_seconds=7.2)]
    for path, body in ASKED:
        answer = await client.post(path, json={**body, "stream": is_streamed})
        assert (answer.status_code, answer.headers.get("retry-after")) == (429, "8"), path
        assert '"Full."' in answer.text


async def test_a_base_url_may_end_in_v1_or_not(client: httpx2.AsyncClient) -> None:
    for path in ("/v1/v1/models", "/v1/models"):
        assert (await client.get(path)).status_code == 200
    assert (await client.get("/v1/v1/embeddings")).status_code == 404
