"""Vector stores on the wire: the real store in memory, a state of its own, an embedder by words."""

from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx2
import pytest
from fastapi import FastAPI
from openai import OpenAI

from llm_api.api.deps import set_services
from llm_api.api.wiring import create_api
from llm_api.core.embeddings.embedder_registry import EmbedderRegistry
from llm_api.core.state.options import StateOptions
from llm_api.core.state.state import State
from llm_api.core.vector_stores.bringing_in import bringing_files_in
from llm_api.core.vector_stores.expiry import expiring_stores
from tests.core.rag.fakes import FakeEmbedder, open_retrieval
from tests.fakes import FakeBackend, FakeModels, FakeServices
from tests.live import live_server, wait_until


@dataclass
class Shelf:
    """A server of files and vector stores, by the SDK and by plain HTTP."""

    sdk: OpenAI
    http: httpx2.Client
    embedder: FakeEmbedder

    def upload(self, text: str, name: str = "notes.txt") -> str:
        """The id of a file with this text."""
        return self.sdk.files.create(file=(name, text.encode()), purpose="assistants").id

    def store(self, **given: object) -> str:
        """The id of a new vector store."""
        made = self.http.post("/v1/vector_stores", json={"name": "tests", **given})
        assert made.is_success, made.text
        return str(made.json()["id"])

    def filled(self, **texts: str) -> str:
        """A store of files with these texts, by their names, once they are in."""
        files = [self.upload(text, f"{name}.txt") for name, text in texts.items()]
        id = self.store(file_ids=files)
        self.settled(id, len(files))
        return id

    def settled(self, id: str, completed: int) -> None:
        """Wait until nothing is on its way, and so many files are in."""
        counts = self.sdk.vector_stores.retrieve(id).file_counts
        wait_until(lambda: self.sdk.vector_stores.retrieve(id).status == "completed")
        counts = self.sdk.vector_stores.retrieve(id).file_counts
        assert (counts.completed, counts.total) == (completed, completed)


@dataclass(frozen=True)
class Served:
    url: str
    embedder: FakeEmbedder


@pytest.fixture(scope="package")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    embedder = FakeEmbedder()
    folder = tmp_path_factory.mktemp("stores")

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncGenerator[None, None]:
        async with _open(folder, embedder) as services:
            set_services(app, services)
            yield

    with live_server(create_api(lifespan, version="0")) as url:
        yield Served(url, embedder)


@asynccontextmanager
async def _open(folder: Path, embedder: FakeEmbedder) -> AsyncGenerator[FakeServices, None]:
    state = State(StateOptions(folder / "state"))
    try:
        async with open_retrieval(embedder=embedder) as retrieval:
            services = FakeServices(
                FakeModels([FakeBackend()]),
                EmbedderRegistry([]),
                retrieval=retrieval,
                state=state,
                models_dir=folder,
            )
            async with (
                bringing_files_in(state, services.files, retrieval, lambda _: retrieval),
                expiring_stores(state, retrieval),
            ):
                yield services
    finally:
        await state.aclose()


@pytest.fixture
def shelf(served: Served) -> Iterator[Shelf]:
    served.embedder.failures.clear()
    served.embedder.seconds = 0
    with (
        OpenAI(base_url=f"{served.url}/v1", api_key="unused", max_retries=0) as sdk,
        httpx2.Client(base_url=served.url, timeout=30) as http,
    ):
        yield Shelf(sdk, http, served.embedder)
