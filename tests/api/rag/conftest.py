"""Retrieval on the wire: the real store in memory, an embedder by words, a model by script."""

from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import count

import httpx2
import pytest
from fastapi import FastAPI

from llm_api.api.deps import set_services
from llm_api.api.wiring import create_api
from llm_api.core.embeddings.embedder_registry import EmbedderRegistry
from tests.core.rag.fakes import FakeEmbedder, open_retrieval
from tests.core.rag.web.sites import Sites
from tests.fakes import FakeBackend, FakeModels, FakeServices, hello
from tests.live import live_server

numbers = count(1)


@dataclass
class Desk:
    """A server of retrieval, and a collection of one's own on it."""

    http: httpx2.Client
    backend: FakeBackend
    embedder: FakeEmbedder
    collection: str = field(default_factory=lambda: f"tests-{next(numbers)}")

    def ingest(self, *texts: str, **more: object) -> httpx2.Response:
        body = {"texts": list(texts), "collection": self.collection, **more}
        return self.http.post("/v1/rag/documents", json=body)

    def store(self, **documents: str) -> None:
        """Documents by their ids."""
        given = [{"id": id, "text": text} for id, text in documents.items()]
        body = {"documents": given, "collection": self.collection}
        assert self.http.post("/v1/rag/documents", json=body).is_success

    def post(self, path: str, **body: object) -> httpx2.Response:
        return self.http.post(path, json={"collection": self.collection, **body})

    def get(self, path: str, **params: str) -> httpx2.Response:
        return self.http.get(path, params={"collection": self.collection, **params})


@dataclass(frozen=True)
class Served:
    url: str
    backend: FakeBackend
    embedder: FakeEmbedder
    sites: Sites


@pytest.fixture(scope="package")
def served() -> Iterator[Served]:
    backend, embedder, sites = FakeBackend(), FakeEmbedder(), Sites()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncGenerator[None, None]:
        async with open_retrieval(embedder=embedder, web=sites.web(), backend=backend) as retrieval:
            set_services(
                app,
                FakeServices(FakeModels([backend]), EmbedderRegistry([]), retrieval=retrieval),
            )
            yield

    with live_server(create_api(lifespan, version="0")) as url:
        yield Served(url, backend, embedder, sites)


@pytest.fixture
def desk(served: Served) -> Iterator[Desk]:
    served.backend.requests.clear()
    served.backend.script = hello
    served.embedder.seconds = 0
    with httpx2.Client(base_url=served.url, timeout=30) as http:
        yield Desk(http, served.backend, served.embedder)


def error_of(response: httpx2.Response) -> tuple[int, str | None, str | None]:
    """Status, code and parameter of a refusal."""
    error = response.json()["error"]
    return response.status_code, error["code"], error["param"]
