"""Documents whose ids are refused today, and were stored by an earlier version."""

from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager
from urllib.parse import quote

import httpx2
import pytest
from fastapi import FastAPI

from llm_api.api.deps import set_services
from llm_api.api.wiring import create_api
from llm_api.core.embeddings.embedder_registry import EmbedderRegistry
from tests.core.rag.fakes import open_retrieval
from tests.core.rag.stores.documents import new_document, put
from tests.fakes import FakeBackend, FakeModels, FakeServices
from tests.live import live_server

IDS = ["a\nb", "\n", "a\r\n", "x\x00y", "a\u2028b"]


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncGenerator[None, None]:
    async with open_retrieval() as retrieval:
        await put(retrieval.store, "default", *[new_document(id, "words") for id in IDS])
        models = FakeModels([FakeBackend()])
        set_services(app, FakeServices(models, EmbedderRegistry([]), retrieval=retrieval))
        yield


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with live_server(create_api(lifespan, version="0")) as url:
        yield url


@pytest.mark.parametrize("id", IDS)
def test_stored_id_is_listed_read_and_deleted_by_its_url(url: str, id: str) -> None:
    with httpx2.Client(base_url=url, timeout=30) as http:
        listed = http.get("/v1/rag/documents").json()["data"]
        path = f"/v1/rag/documents/{quote(id, safe='')}"
        assert id in {one["id"] for one in listed}
        assert http.get(path).json()["text"] == "words"
        assert http.delete(path).json()["id"] == id
        assert http.get(path).status_code == 404
