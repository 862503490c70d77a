"""A vector store that does not answer: 503 soon, and everything else as ever."""

import time
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx2
import pytest
from fastapi import FastAPI

from llm_api.api.deps import set_services
from llm_api.api.wiring import create_api
from llm_api.core.embeddings.registry import EmbedderRegistry
from llm_api.core.rag.opening import VectorStoreOptions
from tests.api.rag.conftest import error_of
from tests.core.rag.fakes import open_retrieval
from tests.fakes import MODEL_ID, FakeBackend, FakeModels, FakeServices
from tests.live import live_server

TIMEOUT_SECONDS = 1.0


@pytest.fixture(scope="module")
def http() -> Iterator[httpx2.Client]:
    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncGenerator[None, None]:
        options = VectorStoreOptions(
            Path(), url="http://127.0.0.1:1", timeout_seconds=TIMEOUT_SECONDS
        )
        async with open_retrieval(options) as retrieval:
            models = FakeModels([FakeBackend()])
            set_services(app, FakeServices(models, EmbedderRegistry([]), retrieval=retrieval))
            yield

    with (
        live_server(create_api(lifespan, version="0")) as url,
        httpx2.Client(base_url=url, timeout=30) as http,
    ):
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
    assert time.monotonic() - began < 5 * TIMEOUT_SECONDS
    assert error_of(response)[:2] == (503, "vector_store_unavailable")
    assert int(response.headers["retry-after"]) >= 1


def test_chat_does_not_notice(http: httpx2.Client) -> None:
    body = {"model": MODEL_ID, "messages": [{"role": "user", "content": "Hi"}]}
    assert http.post("/v1/chat/completions", json=body).is_success
