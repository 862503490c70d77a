"""A vector store that does not answer: 503 soon, and everything else as ever."""

import os
import signal
import time
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from pathlib import Path

import httpx2
import pytest
from fastapi import FastAPI

from llm_api.api.deps import set_services
from llm_api.api.wiring import create_api
from llm_api.assembly.retrieval import VectorStoreOptions
from llm_api.core.embeddings.embedder_registry import EmbedderRegistry
from llm_api.core.rag.stores.edge_process import EdgeProcess
from llm_api.core.rag.vector_store import VectorStore
from tests.api.rag.conftest import error_of
from tests.core.rag.fakes import IN_MEMORY, open_retrieval
from tests.fakes import MODEL_ID, FakeBackend, FakeModels, FakeServices
from tests.live import live_server, wait_until

TIMEOUT_SECONDS = 1.0
SOON_SECONDS = 15.0
"""A timeout or two and what a busy machine adds; without an end it was for ever, or 30 seconds."""


@contextmanager
def served(options: VectorStoreOptions) -> Iterator[tuple[httpx2.Client, list[VectorStore]]]:
    stores: list[VectorStore] = []

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncGenerator[None, None]:
        async with open_retrieval(options) as retrieval:
            stores.append(retrieval.store)
            models = FakeModels([FakeBackend()])
            set_services(app, FakeServices(models, EmbedderRegistry([]), retrieval=retrieval))
            yield

    with (
        live_server(create_api(lifespan, version="0")) as url,
        httpx2.Client(base_url=url, timeout=30) as http,
    ):
        yield http, stores


@pytest.fixture(scope="module")
def http() -> Iterator[httpx2.Client]:
    options = VectorStoreOptions(Path(), url="http://127.0.0.1:1", timeout_seconds=TIMEOUT_SECONDS)
    with served(options) as (http, _):
        yield http


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/rag/documents", {"texts": ["words"]}),
        ("/v1/rag/search", {"query": "words"}),
        ("/v1/rag/chat", {"query": "words"}),
        ("/v1/rag/chat", {"query": "words", "stream": True}),
    ],
)
def test_answer_is_503_within_the_timeout(
    http: httpx2.Client, path: str, body: dict[str, object]
) -> None:
    began = time.monotonic()
    response = http.post(path, json=body)
    assert time.monotonic() - began < SOON_SECONDS
    assert error_of(response)[:2] == (503, "vector_store_unavailable")
    assert int(response.headers["retry-after"]) >= 1


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/v1/rag/collections", None),
        ("GET", "/v1/rag/documents", None),
        ("POST", "/v1/rag/documents", {"texts": ["other words"]}),
        ("POST", "/v1/rag/search", {"query": "words"}),
        ("POST", "/v1/rag/chat", {"query": "words"}),
    ],
)
def test_stopped_store_is_503_within_the_timeout_and_then_replaced(
    method: str, path: str, body: dict[str, object] | None
) -> None:
    options = replace(IN_MEMORY, timeout_seconds=TIMEOUT_SECONDS)
    with served(options) as (http, [store]):
        wait_until(lambda: http.get("/v1/rag/collections").is_success, seconds=30)
        assert isinstance(store, EdgeProcess)
        assert store.process_id is not None
        http.post("/v1/rag/documents", json={"texts": ["words"]})
        os.kill(store.process_id, signal.SIGSTOP)
        began = time.monotonic()
        response = http.request(method, path, json=body)
        assert time.monotonic() - began < SOON_SECONDS
        assert error_of(response)[:2] == (503, "vector_store_unavailable")
        wait_until(lambda: http.get("/v1/rag/collections").is_success, seconds=30)


def test_chat_does_not_notice(http: httpx2.Client) -> None:
    body = {"model": MODEL_ID, "messages": [{"role": "user", "content": "Hi"}]}
    assert http.post("/v1/chat/completions", json=body).is_success
