"""What one key has stored does not exist for another: every route that names it, with two keys."""

from collections.abc import AsyncGenerator, Iterator
from contextlib import AsyncExitStack, aclosing
from pathlib import Path
from typing import Any

import httpx2
import pytest
from fastapi import FastAPI

from llm_api.core.embeddings.embedder_registry import EmbedderRegistry
from llm_api.core.rag.loaders.file_loader import FileLoader
from llm_api.core.state.options import StateOptions
from llm_api.core.state.state import State
from tests.api.keyed import SECRET, api_key, keyed_app
from tests.core.rag.fakes import FakeEmbedder, FakeStore, retrieval_over
from tests.fakes import MODEL_ID, FakeBackend, FakeModels, FakeServices

OWNED = ("{response_id}", "{conversation_id}", "{job_id}", "{file_id}", "{upload_id}")
"""What stands in the path of a route for what a key has stored."""
OTHER_SECRET = "sk-llm-other-key"
ITEM = {"type": "message", "role": "user", "content": "Hello."}
BODIES: dict[tuple[str, str], dict[str, Any]] = {
    ("POST", "/v1/conversations/{conversation_id}"): {"json": {"metadata": {"a": "b"}}},
    ("POST", "/v1/conversations/{conversation_id}/items"): {"json": {"items": [ITEM]}},
    ("POST", "/v1/uploads/{upload_id}/parts"): {"files": {"data": ("a", b"x")}},
    ("POST", "/v1/uploads/{upload_id}/complete"): {"json": {"part_ids": ["part_1"]}},
}
"""What is sent there, by the client's arguments."""
UPLOAD = {"bytes": 1, "filename": "a", "mime_type": "text/plain", "purpose": "user_data"}


@pytest.fixture
async def app(tmp_path: Path) -> AsyncGenerator[FastAPI, None]:
    embedder = FakeEmbedder()
    async with aclosing(State(StateOptions(tmp_path))) as state, FileLoader() as loader:
        retrieval = retrieval_over(FakeStore(), embedder, loader, state)
        services = FakeServices(
            FakeModels([FakeBackend()]), EmbedderRegistry([]), retrieval=retrieval, state=state
        )
        yield keyed_app(services, api_key(), api_key(name="bob", secret=OTHER_SECRET))


@pytest.fixture
async def clients(
    app: FastAPI,
) -> AsyncGenerator[tuple[httpx2.AsyncClient, httpx2.AsyncClient], None]:
    """Alice's and Bob's."""
    async with AsyncExitStack() as stack:
        alice, bob = [
            await stack.enter_async_context(
                httpx2.AsyncClient(
                    transport=httpx2.ASGITransport(app),
                    base_url="http://localhost",
                    headers={"authorization": f"Bearer {secret}"},
                )
            )
            for secret in (SECRET, OTHER_SECRET)
        ]
        yield alice, bob


def owned_routes(openapi: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for path, methods in openapi["paths"].items():
        # A store's files are seen by who may see its collection: `test_rights` asks for them.
        if any(name in path for name in OWNED) and "{vector_store_id}" not in path:
            for method in methods:
                yield method.upper(), path


async def stored(alice: httpx2.AsyncClient) -> dict[str, str]:
    """The ids of what Alice stores, by their places in a path."""
    conversation = await alice.post("/v1/conversations", json={"items": [ITEM]})
    id = conversation.json()["id"]
    response = await alice.post(
        "/v1/responses", json={"model": MODEL_ID, "input": "Hi", "conversation": id}
    )
    job = await alice.post("/v1/rag/documents", json={"texts": ["a"], "background": True})
    assert job.status_code == 202
    items = (await alice.get(f"/v1/conversations/{id}/items")).json()
    file = {"file": ("a.txt", b"secret words")}
    stored_file = await alice.post("/v1/files", files=file, data={"purpose": "user_data"})
    upload = await alice.post("/v1/uploads", json=UPLOAD)
    return {
        "file_id": stored_file.json()["id"],
        "upload_id": upload.json()["id"],
        "response_id": response.json()["id"],
        "conversation_id": id,
        "item_id": items["data"][0]["id"],
        "job_id": job.json()["id"],
    }


async def everything(alice: httpx2.AsyncClient, ids: dict[str, str]) -> list[str]:
    paths = (
        "/v1/responses/{response_id}",
        "/v1/responses/{response_id}/input_items",
        "/v1/conversations/{conversation_id}",
        "/v1/conversations/{conversation_id}/items",
        "/v1/rag/jobs",
        "/v1/files",
        "/v1/files/{file_id}/content",
    )
    answers = [await alice.get(path.format_map(ids)) for path in paths]
    assert all(answer.is_success for answer in answers)
    return [answer.text for answer in answers]


async def test_nothing_of_another_key_is_found_or_changed(
    openapi: dict[str, Any], clients: tuple[httpx2.AsyncClient, httpx2.AsyncClient]
) -> None:
    alice, bob = clients
    ids = await stored(alice)
    unknown = {name: f"{id[:-4]}none" for name, id in ids.items()}
    before = await everything(alice, ids)
    routes = list(owned_routes(openapi))
    assert len(routes) >= 13
    for method, path in routes:
        body = BODIES.get((method, path), {})
        theirs = await bob.request(method, path.format_map(ids), **body)
        nobodys = await bob.request(method, path.format_map(unknown), **body)
        assert theirs.status_code == nobodys.status_code == 404, (method, path, theirs.text)
        assert theirs.json()["error"]["code"] == nobodys.json()["error"]["code"], (method, path)
    for lists in ("/v1/rag/jobs", "/v1/files"):
        assert (await bob.get(lists)).json()["data"] == []
    assert await everything(alice, ids) == before


@pytest.mark.parametrize("field", ["previous_response_id", "conversation", "input"])
async def test_nothing_goes_on_from_what_another_key_has_stored(
    clients: tuple[httpx2.AsyncClient, httpx2.AsyncClient], field: str
) -> None:
    alice, bob = clients
    ids = await stored(alice)
    named = {
        "previous_response_id": ids["response_id"],
        "conversation": ids["conversation_id"],
        "input": [{"type": "item_reference", "id": ids["item_id"]}, ITEM],
    }
    body = {"model": MODEL_ID, "input": "Hi"} | {field: named[field]}
    assert (await alice.post("/v1/responses", json=body)).status_code == 200
    refused = await bob.post("/v1/responses", json=body)
    assert refused.status_code in (400, 404), refused.text
    assert "Hello." not in refused.text
