"""Stores in every shape. The server is a real one, or its tests are skipped."""

import os
from collections.abc import AsyncGenerator, Iterator
from contextlib import suppress
from uuid import uuid4

import pytest
import pytest_asyncio

from llm_api.assembly.retrieval import VectorStoreOptions, open_vector_store
from llm_api.core.errors import CollectionNotFoundError
from llm_api.core.rag.vector_store import VectorStore
from scripts.qdrant_server import NoQdrantError, QdrantServer, running_qdrant


@pytest.fixture(scope="session")
def qdrant() -> Iterator[QdrantServer]:
    """A server of our own, which tests may stop and start."""
    try:
        with running_qdrant() as server:
            yield server
    except NoQdrantError as error:
        pytest.skip(f"no Qdrant server: {error}")


@pytest.fixture(scope="session")
def server_url(request: pytest.FixtureRequest) -> str:
    if given := os.environ.get("QDRANT_URL"):
        return given
    server: QdrantServer = request.getfixturevalue("qdrant")
    return server.url


@pytest.fixture(scope="module", params=["embedded", "memory", "server"])
def options(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> VectorStoreOptions:
    folder = tmp_path_factory.mktemp("vectors")
    if request.param == "server":
        url = request.getfixturevalue("server_url")
        return VectorStoreOptions(folder, url=url, api_key=os.environ.get("QDRANT_API_KEY"))
    return VectorStoreOptions(folder, is_in_memory=request.param == "memory")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def store(options: VectorStoreOptions) -> AsyncGenerator[VectorStore, None]:
    """A store in each shape in turn, shared by the tests of a module."""
    async with open_vector_store(options) as store:
        yield store


@pytest_asyncio.fixture(loop_scope="module")
async def name(store: VectorStore) -> AsyncGenerator[str, None]:
    """The name of a collection that is not there yet, and that is gone after the test."""
    name = f"test-{uuid4().hex[:12]}"
    yield name
    for left in (name, f"{name}-new"):
        with suppress(CollectionNotFoundError):
            await store.delete_collection(left)
