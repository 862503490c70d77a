"""Keys over HTTP, for administrators, and what keys have used."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx2
import pytest
from fastapi import FastAPI
from openai import AsyncOpenAI

from llm_api.api.deps import set_services
from llm_api.api.policy import Access
from llm_api.api.wiring import create_api
from llm_api.config.key_book import KeysFile
from llm_api.config.keys_file import WatchedKeys, read_keys
from llm_api.core.access.key_book import KeyAdministration
from llm_api.core.access.keys import Keyring, Limits
from llm_api.core.access.usage import UsageBook, UsageReport
from llm_api.core.embeddings.embedder_registry import EmbedderRegistry
from llm_api.core.state.options import StateOptions
from llm_api.core.state.state import State
from tests.api.keyed import BEARER, api_key, limiter_at_rest, talking_to
from tests.fakes import MODEL_ID, FakeBackend, FakeModels, FakeServices

DEFAULTS = Limits(requests_per_minute=600)
SAID = {"messages": [{"role": "user", "content": "Hello."}]}
DOORS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("/v1/chat/completions", SAID),
    ("/v1/chat/completions", {**SAID, "stream": True}),
    ("/v1/completions", {"prompt": "Hello."}),
    ("/v1/responses", {"input": "Hello."}),
    ("/v1/messages", {**SAID, "max_tokens": 9}),
    ("/api/chat", SAID),
    ("/api/generate", {"prompt": "Hello."}),
    ("/generate", {"prompt": "Hello."}),
    ("/chat", {"prompt": "Hello."}),
)
CHAT = {"model": MODEL_ID, "messages": [{"role": "user", "content": "Hello."}]}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "keys.yaml"
    path.write_text("keys: []\n")
    return path


@pytest.fixture
async def keyed(path: Path, tmp_path: Path) -> AsyncGenerator[FastAPI, None]:
    """A server with one key of its settings, and a file of others."""
    fixed, book = [api_key(name="API_KEY")], UsageBook()
    access = Access(
        keyring=Keyring(fixed, WatchedKeys(path, DEFAULTS)),
        limiter=limiter_at_rest(),
        allowed_hosts=None,
        keys=KeyAdministration(KeysFile(path), fixed, DEFAULTS),
        usage=book,
    )
    app = create_api(version="0.0.test", access=access)
    async with aclosing(State(StateOptions(tmp_path / "state"))) as state:
        services = FakeServices(
            FakeModels([FakeBackend()]), EmbedderRegistry([]), state=state, keys=access.keys
        )
        services.usage = UsageReport(book, state)
        set_services(app, services)
        yield app


@pytest.fixture
async def admin(keyed: FastAPI) -> AsyncGenerator[httpx2.AsyncClient, None]:
    async with talking_to(keyed, **BEARER) as client:
        yield client


def text_of(path: Path) -> str:
    return path.read_text()


def code_of(answer: httpx2.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["code"]


async def made(admin: httpx2.AsyncClient, name: str, **body: Any) -> dict[str, Any]:
    answer = await admin.post("/v1/keys", json={"name": name, **body})
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def test_key_is_made_used_limited_and_revoked(
    admin: httpx2.AsyncClient, keyed: FastAPI, path: Path
) -> None:
    answer = await admin.post(
        "/v1/keys", json={"name": "alice", "scopes": ["generate"], "tokens_per_day": 100_000}
    )
    assert answer.headers["location"] == "/v1/keys/alice"
    assert answer.headers["cache-control"] == "no-store"
    secret = answer.json()["secret"]
    assert secret.startswith("sk-llm-")
    assert secret not in text_of(path)
    async with talking_to(keyed, authorization=f"Bearer {secret}") as alice:
        assert (await alice.post("/v1/chat/completions", json=CHAT)).status_code == 200
        assert (await alice.get("/v1/keys")).status_code == 403
        changed = await admin.patch("/v1/keys/alice", json={"tokens_per_day": 1})
        assert changed.json()["in_force"] == {
            "requests_per_minute": 600,
            "tokens_per_minute": None,
            "tokens_per_day": 1,
            "concurrency": None,
        }
        refused = await alice.post("/v1/chat/completions", json={**CHAT, "max_tokens": 2})
        assert code_of(refused) == (429, "rate_limit_exceeded")
        again = await admin.patch("/v1/keys/alice", json={"tokens_per_day": None})
        assert again.json()["tokens_per_day"] is None
        gone = await admin.delete("/v1/keys/alice")
        assert gone.json() == {"name": "alice", "object": "key", "deleted": True}
        assert code_of(await alice.get("/v1/models")) == (401, "invalid_api_key")
    assert read_keys(path) == ()


async def test_list_shows_every_key_and_no_secret(admin: httpx2.AsyncClient) -> None:
    secret = (await made(admin, "alice", models=["small"], concurrency=2))["secret"]
    answer = await admin.get("/v1/keys")
    fixed, alice = answer.json()["data"]
    assert (fixed["name"], fixed["origin"]) == ("API_KEY", "settings")
    assert (alice["models"], alice["concurrency"], alice["origin"]) == (["small"], 2, "file")
    assert "admin" not in alice["scopes"]
    assert answer.json()["problem"] is None
    assert secret not in answer.text
    assert "hash" not in answer.text
    assert (await admin.get("/v1/keys/alice")).json() == alice


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({}, 400),
        ({"name": "Alice"}, 400),
        ({"name": "../alice"}, 400),
        ({"name": "a", "scopes": []}, 400),
        ({"name": "a", "scopes": ["root"]}, 400),
        ({"name": "a", "tokens_per_day": 0}, 400),
        ({"name": "a", "collections": {"x/y": "read"}}, 400),
        ({"name": "a", "filter": {"or": 3}}, 400),
        ({"name": "a", "secret": "sk-mine"}, 400),
    ],
)
async def test_what_is_no_key_is_refused(
    admin: httpx2.AsyncClient, path: Path, body: dict[str, Any], status: int
) -> None:
    assert (await admin.post("/v1/keys", json=body)).status_code == status
    assert read_keys(path) == ()


async def test_what_cannot_be_done_to_a_key_is_said(admin: httpx2.AsyncClient) -> None:
    await made(admin, "alice")
    assert code_of(await admin.post("/v1/keys", json={"name": "alice"})) == (409, "key_exists")
    assert code_of(await admin.delete("/v1/keys/bob")) == (404, "key_not_found")
    assert code_of(await admin.get("/v1/keys/bob/usage")) == (404, "key_not_found")
    assert code_of(await admin.delete("/v1/keys/API_KEY")) == (409, "keys_read_only")
    assert code_of(await admin.patch("/v1/keys/bob", json={})) == (404, "key_not_found")


async def test_an_administrator_gives_no_scope_that_it_lacks(
    admin: httpx2.AsyncClient, keyed: FastAPI
) -> None:
    secret = (await made(admin, "watcher", scopes=["admin"]))["secret"]
    async with talking_to(keyed, authorization=f"Bearer {secret}") as watcher:
        asked = await watcher.post("/v1/keys", json={"name": "a", "scopes": ["generate"]})
        assert code_of(asked) == (403, "insufficient_permissions")
        assert code_of(await watcher.post("/v1/keys", json={"name": "a"}))[0] == 400
        assert (await watcher.post("/v1/keys", json={"name": "a", "scopes": ["admin"]})).is_success


async def test_server_without_a_file_of_keys_lists_and_refuses(
    app: FastAPI,
) -> None:
    async with talking_to(app) as client:
        listed = (await client.get("/v1/keys")).json()
        assert listed["data"] == []
        assert "API_KEYS_FILE" in listed["problem"]
        assert code_of(await client.post("/v1/keys", json={"name": "a"})) == (409, "keys_read_only")
        usage = (await client.get("/v1/usage")).json()
        assert usage == {"object": "list", "data": [], "is_counted": False}


async def test_usage_is_told_by_day_and_model_to_the_key_and_to_administrators(
    admin: httpx2.AsyncClient, keyed: FastAPI
) -> None:
    secret = (await made(admin, "alice", scopes=["generate"]))["secret"]
    async with talking_to(keyed, authorization=f"Bearer {secret}") as alice:
        for _ in range(2):
            await alice.post("/v1/chat/completions", json=CHAT)
        own = (await alice.get("/v1/usage")).json()
    [day] = own["data"]
    assert day == {
        "object": "usage.day",
        "date": datetime.now(UTC).date().isoformat(),
        "key": "alice",
        "model": MODEL_ID,
        "kind": "generate",
        "requests": 2,
        "prompt_tokens": 10,
        "completion_tokens": 6,
        "cached_tokens": 4,
    }
    assert (await admin.get("/v1/keys/alice/usage", params={"days": 7})).json() == own
    assert (await admin.get("/v1/usage")).json()["data"] == []
    await admin.delete("/v1/keys/alice")
    assert (await admin.get("/v1/keys/alice/usage")).json() == own


async def test_every_door_counts_alike(admin: httpx2.AsyncClient, keyed: FastAPI) -> None:
    secret = (await made(admin, "alice", scopes=["generate"]))["secret"]
    async with talking_to(keyed, authorization=f"Bearer {secret}") as alice:
        for path, body in DOORS:
            assert (await alice.post(path, json={"model": MODEL_ID, **body})).is_success, path
    [day] = (await admin.get("/v1/keys/alice/usage")).json()["data"]
    counted = day["requests"], day["prompt_tokens"], day["completion_tokens"]
    assert counted == (len(DOORS), 5 * len(DOORS), 3 * len(DOORS))


async def test_usage_of_all_keys_is_read_by_openais_sdk(
    admin: httpx2.AsyncClient, keyed: FastAPI
) -> None:
    for name in ("alice", "bob"):
        secret = (await made(admin, name, scopes=["generate"]))["secret"]
        async with talking_to(keyed, authorization=f"Bearer {secret}") as client:
            await client.post("/v1/chat/completions", json=CHAT)
    start = int(datetime.now(UTC).timestamp()) - 2 * 86_400
    transport = httpx2.ASGITransport(keyed)
    async with AsyncOpenAI(
        base_url="http://localhost/v1",
        admin_api_key=BEARER["authorization"].removeprefix("Bearer "),
        api_key=BEARER["authorization"].removeprefix("Bearer "),
        http_client=httpx2.AsyncClient(transport=transport),
    ) as sdk:
        usage = sdk.admin.organization.usage
        page = await usage.completions(start_time=start, group_by=["api_key_id", "model"])
        *_, today = page.data
        found = {one.api_key_id: one.input_tokens for one in today.results}  # type: ignore[union-attr]
        assert found == {"alice": 5, "bob": 5}
        assert (len(page.data), page.has_more) == (3, False)
        [one] = (await usage.completions(start_time=start, api_key_ids=["bob"])).data[-1].results
        assert one.num_model_requests == 1  # type: ignore[union-attr]
        first = await usage.completions(start_time=start, limit=1)
        assert first.has_more
        assert first.next_page is not None
        second = await usage.completions(start_time=start, limit=2, page=first.next_page)
        assert [len(one.results) for one in second.data] == [0, 1]
        assert not second.has_more
        embedded = await usage.embeddings(start_time=start)
        assert [one.results for one in embedded.data] == [[], [], []]


async def test_usage_asked_for_in_other_buckets_is_refused(admin: httpx2.AsyncClient) -> None:
    path = "/v1/organization/usage/completions"
    for query in ({"bucket_width": "1h"}, {"group_by": "batch"}, {"page": "2026-02-31"}):
        answer = await admin.get(path, params={"start_time": 0, **query})
        assert answer.status_code == 400, query
    future = await admin.get(path, params={"start_time": 9_999_999_999})
    assert future.json() == {"object": "page", "data": [], "has_more": False, "next_page": None}
