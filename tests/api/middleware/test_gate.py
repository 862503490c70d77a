"""Who gets in: every route, in every spelling of its path, with and without a key."""

import json
import socket
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import httpx2
import pytest
from fastapi import FastAPI

from llm_api.api.policy import POLICY
from llm_api.core.access.keys import SCOPES, Scope
from tests.api.bodies import chat, completion, embedding
from tests.api.keyed import BEARER, SECRET, api_key, keyed_app, talking_to
from tests.api.test_bad_input import assert_envelope
from tests.core.embeddings.fake_encoder import EMBEDDING_ID, FakeEncoder
from tests.fakes import ALIAS, MODEL_ID, FakeBackend, FakeServices
from tests.live import PATIENCE_SECONDS, live_server

CHAT = "/v1/chat/completions"
METHODS = ("GET", "POST", "HEAD", "OPTIONS", "DELETE")
BODY = json.dumps(chat()).encode()


@pytest.fixture
def keyed(services: FakeServices) -> FastAPI:
    return keyed_app(services)


@pytest.fixture
def private_paths(openapi: dict[str, Any]) -> list[str]:
    """Every path of the schema and of the policy that needs a key."""
    public = {rule.path for rule in POLICY if rule.is_public}
    described = {path.replace("{", "").replace("}", "") for path in openapi["paths"]}
    return sorted((described | {rule.path for rule in POLICY}) - public)


def spellings(path: str) -> Iterator[str]:
    """The path, and request targets that some reader may take for it or for a public one."""
    yield path
    yield f"{path}/"
    yield f"{path}?x=/health"
    yield f"{path};/health"
    yield f"{path}%00"
    yield f"{path}%20"
    yield f"{path}/../..{path}"
    yield f"/{path}"
    yield path.replace("/", "//")
    yield path.replace("/", "/./")
    yield "/" + path[1:].replace("/", "%2f")
    yield f"/%2f{path[1:]}"
    yield f"/%2e{path}"
    yield f"/health/..{path}"
    yield f"/health/%2e%2e{path}"
    yield f"/health%2f..{path}"
    yield f"/health{path}"
    yield f"/health;{path}"
    yield f"/health%3f{path}"
    yield f"/health%23{path}"
    yield path.upper()
    yield path.title()
    yield "/%" + format(ord(path[1]), "x") + path[2:]
    yield f"http://x/health/..{path}"
    yield f"http://x{path}"
    yield f"http://health{path}"
    yield f"http://x{path}?http://x/health"


def raw_request(method: str, target: str, host: str = "localhost", key: str = "") -> bytes:
    head = f"{method} {target} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n"
    if key:
        head += f"authorization: Bearer {key}\r\n"
    return (
        head.encode() + b"content-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(BODY)
    ) + BODY


def status_of(url: str, request: bytes) -> int:
    """The status of what the server answers to these bytes."""
    parts = urlsplit(url)
    with socket.create_connection(
        (parts.hostname, parts.port), timeout=PATIENCE_SECONDS
    ) as connection:
        connection.sendall(request)
        return int(connection.makefile("rb").readline().split()[1])


def test_without_a_key_no_spelling_of_any_path_is_answered(
    keyed: FastAPI, backend: FakeBackend, encoder: FakeEncoder, private_paths: list[str]
) -> None:
    with live_server(keyed) as url:
        answers = {
            (method, target): status_of(url, raw_request(method, target))
            for path in private_paths
            for target in spellings(path)
            for method in ("GET", "POST")
        }
    assert len(answers) > 500
    let_in = {asked: status for asked, status in answers.items() if status != 401}
    assert let_in == {}
    assert (backend.requests, encoder.batches) == ([], [])


@pytest.mark.parametrize("method", METHODS)
def test_without_a_key_no_method_and_no_host_is_answered(
    keyed: FastAPI, private_paths: list[str], method: str
) -> None:
    hosts = ("x/health?", "x/health", "x#/health", "/health", "localhost:8000@x", "[::1]", "")
    with live_server(keyed) as url:
        for path in private_paths:
            for host in hosts:
                assert status_of(url, raw_request(method, path, host)) == 401, (path, host)


def test_a_key_of_another_scope_reaches_no_model_by_any_spelling(
    services: FakeServices, backend: FakeBackend
) -> None:
    app = keyed_app(services, api_key(scopes=SCOPES - {"generate"}))
    with live_server(app) as url:
        for target in spellings(CHAT):
            assert status_of(url, raw_request("POST", target, key=SECRET)) != 200, target
    assert backend.requests == []


def test_an_upgrade_to_a_websocket_does_not_pass(keyed: FastAPI) -> None:
    head = (
        f"GET {CHAT} HTTP/1.1\r\nhost: localhost\r\nconnection: upgrade\r\nupgrade: websocket\r\n"
        "sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
    with live_server(keyed) as url:
        assert status_of(url, head.encode()) in {400, 401, 403}


@pytest.mark.parametrize("path", ["/health", "/health/ready"])
async def test_health_is_public(keyed: FastAPI, path: str) -> None:
    async with talking_to(keyed) as client:
        assert (await client.get(path)).status_code == 200


async def test_a_refusal_says_how_to_send_a_key(keyed: FastAPI) -> None:
    async with talking_to(keyed) as client:
        response = await client.get("/v1/models")
    assert response.status_code == 401
    error = assert_envelope(response)
    assert (error["type"], error["code"]) == ("invalid_request_error", "invalid_api_key")
    assert response.headers["www-authenticate"] == 'Bearer realm="llm_api"'


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ([("authorization", f"Bearer {SECRET}")], 200),
        ([("authorization", f"bearer  {SECRET} ")], 200),
        ([("x-api-key", SECRET)], 200),
        ([("X-API-Key", SECRET)], 200),
        ([("authorization", f"Bearer {SECRET}"), ("x-api-key", SECRET)], 200),
        ([("authorization", "Bearer unused"), ("x-api-key", SECRET)], 401),
        ([("authorization", f"Bearer {SECRET}"), ("x-api-key", "unused")], 401),
        ([("authorization", f"Bearer {SECRET}"), ("x-api-key", "")], 401),
        ([("x-api-key", SECRET), ("x-api-key", "unused")], 401),
        ([("authorization", f"Basic {SECRET}"), ("x-api-key", SECRET)], 200),
        ([("authorization", f"Basic {SECRET}")], 401),
        ([("authorization", SECRET)], 401),
        ([("authorization", f"Bearer {SECRET} {SECRET}")], 401),
        ([("authorization", "Bearer ")], 401),
        ([("authorization", f"Bearer {SECRET}x")], 401),
        ([("authorization", f"Bearer {SECRET.upper()}")], 401),
        ([("x-api-key", "")], 401),
        ([("x-api-key", "é")], 401),
        ([("cookie", f"x-api-key={SECRET}")], 401),
    ],
)
async def test_a_key_comes_in_either_header(
    keyed: FastAPI, headers: list[tuple[str, str]], status: int
) -> None:
    encoded = [(name.encode(), value.encode()) for name, value in headers]
    async with talking_to(keyed) as client:
        assert (await client.get("/v1/models", headers=encoded)).status_code == status
        assert (await client.get(f"/v1/models?api_key={SECRET}")).status_code == 401


async def test_a_known_key_that_asks_for_nothing_there_is_told_so(keyed: FastAPI) -> None:
    async with talking_to(keyed, **BEARER) as client:
        response = await client.get("/v1/nothing")
        assert response.status_code == 404
        assert assert_envelope(response)["code"] == "unknown_url"
        assert (await client.get(CHAT)).status_code == 405


REQUESTS: list[tuple[Scope, str, dict[str, object]]] = [
    ("generate", CHAT, chat()),
    ("generate", "/v1/completions", completion()),
    ("embed", "/v1/embeddings", embedding()),
]


@pytest.mark.parametrize(("scope", "path", "body"), REQUESTS)
async def test_a_key_is_good_for_its_scopes(
    services: FakeServices, scope: Scope, path: str, body: dict[str, object]
) -> None:
    async with talking_to(keyed_app(services, api_key(scopes={scope})), **BEARER) as client:
        assert (await client.post(path, json=body)).status_code == 200
        assert (await client.get("/v1/models")).status_code == 200
    others = SCOPES - {scope}
    async with talking_to(keyed_app(services, api_key(scopes=others)), **BEARER) as client:
        response = await client.post(path, json=body)
        assert response.status_code == 403
        assert (await client.get("/v1/models")).status_code == 200
    error = assert_envelope(response)
    assert (error["code"], error["message"]) == (
        "insufficient_permissions",
        f"This API key lacks the scope '{scope}'.",
    )


async def test_functions_need_their_scope_in_a_chat_as_well(
    services: FakeServices, backend: FakeBackend
) -> None:
    app = keyed_app(services, api_key(scopes={"generate"}))
    async with talking_to(app, **BEARER) as client:
        response = await client.post(CHAT, json=chat(server_tools="all"))
        assert response.status_code == 403
        assert "'functions'" in assert_envelope(response)["message"]
        assert (await client.get("/v1/functions")).status_code == 403
        assert (await client.post("/mcp", json={})).status_code == 403
    assert backend.requests == []


@pytest.mark.parametrize("named", [MODEL_ID, ALIAS])
async def test_a_key_reaches_the_models_it_names_by_all_their_names(
    services: FakeServices, backend: FakeBackend, named: str
) -> None:
    app = keyed_app(services, api_key(models=[named]))
    async with talking_to(app, **BEARER) as client:
        for name in (MODEL_ID, ALIAS):
            assert (await client.post(CHAT, json=chat(model=name))).status_code == 200
        listed = (await client.get("/v1/models")).json()["data"]
        assert [model["id"] for model in listed] == [MODEL_ID]
        for path, body in (
            ("/v1/embeddings", embedding()),
            (CHAT, chat(model="no-such-model")),
        ):
            response = await client.post(path, json=body)
            assert response.status_code == 403
            error = assert_envelope(response)
            assert (error["code"], error["param"]) == ("model_not_allowed", "model")
            assert MODEL_ID not in error["message"].replace(EMBEDDING_ID, "")
        assert (await client.get(f"/v1/models/{EMBEDDING_ID}")).status_code == 403
    assert len(backend.requests) == 2


async def test_prefixes_are_shared_within_a_key(
    services: FakeServices, backend: FakeBackend
) -> None:
    other = api_key(name="bob", secret="sk-bob")
    async with talking_to(keyed_app(services, api_key(), other)) as client:
        for secret in (SECRET, "sk-bob"):
            await client.post(CHAT, json=chat(), headers={"x-api-key": secret})
            await client.post(CHAT, json=chat(stream=True), headers={"x-api-key": secret})
    assert [request.context.scope for request in backend.requests] == [
        "alice",
        "alice",
        "bob",
        "bob",
    ]


async def test_the_request_log_has_who_asked_and_who_was_refused(
    keyed: FastAPI, services: FakeServices
) -> None:
    async with talking_to(keyed) as client:
        for headers in (BEARER, {}):
            await client.post(CHAT, json=chat(), headers=headers)
    answered, refused = services.request_log.records
    assert (answered["key"], answered["status"], answered["error"]) == ("alice", 200, None)
    assert (refused["key"], refused["status"], refused["error"]) == (None, 401, "invalid_api_key")


async def test_where_no_key_is_asked_for_any_will_do(
    client: httpx2.AsyncClient, backend: FakeBackend
) -> None:
    for headers in ({}, {"authorization": "Bearer unused"}, {"x-api-key": SECRET}):
        response = await client.post(CHAT, json=chat(), headers=headers)
        assert response.status_code == 200
    assert {request.context.scope for request in backend.requests} == {""}
