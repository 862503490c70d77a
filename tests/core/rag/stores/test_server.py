"""The store on a server alone: what happens when that is down, slow, or used by others."""

import time
from collections.abc import AsyncGenerator, Iterator
from pathlib import Path

import pytest
from qdrant_client import QdrantClient

from llm_api.assembly.retrieval import VectorStoreOptions, open_vector_store
from llm_api.core.errors import (
    CollectionNotFoundError,
    LLMAPIError,
    VectorStoreError,
    VectorStoreUnavailableError,
)
from llm_api.core.rag.stores.document_store import DocumentStore
from llm_api.core.rag.stores.layout import Intent, Version
from llm_api.core.rag.stores.points import AllOf
from llm_api.core.rag.stores.requests import ServerOptions
from llm_api.core.rag.stores.server import ServerEngine, open_server
from llm_api.core.rag.vector_store import VectorStore
from scripts.bench.process import free_port
from scripts.qdrant_server import QdrantServer
from tests.core.rag.stores.documents import MODEL, find, new_document, put

TIMEOUT_SECONDS = 1.0
EVERY_POINT = AllOf(())


@pytest.fixture
def running(qdrant: QdrantServer) -> Iterator[QdrantServer]:
    """The server, brought back to life after the test."""
    yield qdrant
    qdrant.kill()
    qdrant.start()


@pytest.fixture
async def store(running: QdrantServer, tmp_path: Path) -> AsyncGenerator[VectorStore, None]:
    options = VectorStoreOptions(tmp_path, url=running.url, timeout_seconds=TIMEOUT_SECONDS)
    async with open_vector_store(options) as store:
        yield store


@pytest.fixture
async def engine(qdrant: QdrantServer) -> AsyncGenerator[ServerEngine, None]:
    options = ServerOptions((qdrant.url,), None, TIMEOUT_SECONDS, None, None)
    async with open_server(options) as engine:
        yield engine


async def test_server_that_stands_still_is_given_up_within_the_timeout(
    store: VectorStore, running: QdrantServer
) -> None:
    await put(store, "still", new_document("a", "one"))
    running.pause()
    started = time.monotonic()
    with pytest.raises(VectorStoreUnavailableError):
        await find(store, "still")
    assert time.monotonic() - started < TIMEOUT_SECONDS + 10
    running.resume()
    assert [hit.chunk.text for hit in await find(store, "still")] == ["one"]


async def test_server_that_is_down_is_an_error_at_once_until_it_is_back(
    store: VectorStore, running: QdrantServer
) -> None:
    await put(store, "down", new_document("a", "one"))
    running.kill()
    for attempt in (find(store, "down"), put(store, "down", new_document("b", "two"))):
        started = time.monotonic()
        with pytest.raises(VectorStoreUnavailableError):
            await attempt
        assert time.monotonic() - started < TIMEOUT_SECONDS + 10
    running.start()
    assert [hit.chunk.text for hit in await find(store, "down")] == ["one"]


async def test_restart_between_two_requests_is_not_noticed(
    store: VectorStore, running: QdrantServer
) -> None:
    await put(store, "restarted", new_document("a", "one"))
    running.kill()
    running.start()
    assert [hit.chunk.text for hit in await find(store, "restarted")] == ["one"]


async def test_opening_needs_no_server(tmp_path: Path) -> None:
    options = VectorStoreOptions(tmp_path, url=f"http://127.0.0.1:{free_port()}", timeout_seconds=1)
    async with open_vector_store(options) as store:
        with pytest.raises(VectorStoreUnavailableError):
            await store.list_collections()


async def test_collections_of_others_are_left_alone(
    engine: ServerEngine, qdrant: QdrantServer
) -> None:
    store = DocumentStore(engine)
    client = QdrantClient(url=qdrant.url, check_compatibility=False)
    client.create_collection("foreign", vectors_config={})
    assert "foreign" not in [one.name for one in await store.list_collections()]
    for attempt in (
        store.describe_collection("foreign"),
        store.delete_collection("foreign"),
        find(store, "foreign"),
    ):
        with pytest.raises(CollectionNotFoundError):
            await attempt
    with pytest.raises(LLMAPIError):
        await store.create_collection("foreign", MODEL)
    assert client.collection_exists("foreign")
    client.delete_collection("foreign")
    client.close()


async def test_collection_that_somebody_left_unfinished_is_no_obstacle(
    engine: ServerEngine, qdrant: QdrantServer
) -> None:
    client = QdrantClient(url=qdrant.url, check_compatibility=False)
    client.create_collection("llm-api.half.0", vectors_config={})
    client.close()
    store = DocumentStore(engine)
    assert await put(store, "half", new_document("a", "one")) == ("created",)


async def test_unfinished_write_of_another_process_is_cleaned_up_only_when_old(
    engine: ServerEngine,
) -> None:
    now = 1000.0
    store = DocumentStore(engine, clock=lambda: now)
    await put(store, "shared", new_document("a", "one"))
    points = engine.points("shared")
    await points.upsert([Intent("a", 500.0, (Version("never", 3, 1),)).point()])
    before = await points.count(EVERY_POINT)
    await store.recover(older_than_seconds=501)
    assert await points.count(EVERY_POINT) == before
    await store.recover(older_than_seconds=500)
    assert await points.count(EVERY_POINT) == before - 1
    assert [hit.chunk.text for hit in await find(store, "shared")] == ["one"]


async def test_wrong_key_is_no_reason_to_wait(running: QdrantServer, tmp_path: Path) -> None:
    running.kill()
    running.start(api_key="secret")
    options = VectorStoreOptions(tmp_path, url=running.url, timeout_seconds=TIMEOUT_SECONDS)
    async with open_vector_store(options) as store:
        with pytest.raises(VectorStoreError, match="QDRANT_API_KEY"):
            await store.list_collections()


async def test_new_collection_is_spread_as_was_said(qdrant: QdrantServer) -> None:
    options = ServerOptions((qdrant.url,), None, TIMEOUT_SECONDS, 3, 1)
    async with open_server(options) as engine:
        await put(DocumentStore(engine), "spread", *(new_document(f"d{n}", "x") for n in range(9)))
        assert len(await find(DocumentStore(engine), "spread")) == 9
    client = QdrantClient(url=qdrant.url, check_compatibility=False)
    params = client.get_collection("spread").config.params
    client.close()
    assert (params.shard_number, params.replication_factor) == (3, 1)
