"""Documents where keys are asked for: whose they are to reach, and what they count."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from pathlib import Path

import pytest

from llm_api.assembly.retrieval import VectorStoreOptions, open_vector_store
from llm_api.core.access.keys import Limits
from llm_api.core.embeddings.embedder_registry import EmbedderRegistry
from llm_api.core.rag.loaders.file_loader import FileLoader
from llm_api.core.state.options import StateOptions
from llm_api.core.state.state import State
from tests.api.bodies import chat
from tests.api.keyed import BEARER, api_key, keyed_app, talking_to
from tests.core.rag.fakes import FakeEmbedder, retrieval_over
from tests.fakes import MODEL_ID, FakeBackend, FakeModels, FakeServices

SEARCH = {"query": "Which river rose?"}
STORED = {"texts": ["The river rose overnight.", "He plays the harp."]}
QUESTION = {"model": MODEL_ID, "query": "Which river rose?"}


@pytest.fixture
def embedder() -> FakeEmbedder:
    return FakeEmbedder()


@pytest.fixture
async def library(embedder: FakeEmbedder, tmp_path: Path) -> AsyncGenerator[FakeServices, None]:
    """Services with documents, in memory."""
    async with (
        open_vector_store(VectorStoreOptions(Path(), is_in_memory=True)) as store,
        FileLoader() as loader,
        aclosing(State(StateOptions(tmp_path))) as state,
    ):
        retrieval = retrieval_over(store, embedder, loader, state)
        models = FakeModels([FakeBackend()])
        yield FakeServices(models, EmbedderRegistry([]), retrieval=retrieval)


async def test_documents_are_embedded_in_the_scope_of_the_key_and_counted(
    library: FakeServices, embedder: FakeEmbedder
) -> None:
    key = api_key(scopes={"rag"}, limits=Limits(tokens_per_day=1000))
    async with talking_to(keyed_app(library, key), **BEARER) as client:
        left = 1000
        for path, body in (("/v1/rag/documents", STORED), ("/v1/rag/search", SEARCH)):
            answered = await client.post(path, json=body)
            assert answered.status_code == 200, answered.text
            assert int(answered.headers["x-ratelimit-remaining-tokens"]) < left
            left = int(answered.headers["x-ratelimit-remaining-tokens"])
    assert len(embedder.requests) >= 2
    assert {request.scope for request in embedder.requests} == {"alice"}


async def test_nothing_is_stored_beyond_a_limit(
    library: FakeServices, embedder: FakeEmbedder
) -> None:
    key = api_key(limits=Limits(tokens_per_day=1))
    async with talking_to(keyed_app(library, key), **BEARER) as client:
        refused = await client.post("/v1/rag/documents", json=STORED)
    assert refused.status_code == 429
    assert embedder.requests == []


async def test_answers_from_documents_need_both_scopes(library: FakeServices) -> None:
    chat_path = "/v1/chat/completions"
    async with talking_to(keyed_app(library, api_key(scopes={"rag"})), **BEARER) as client:
        assert (await client.post("/v1/rag/documents", json=STORED)).status_code == 200
        refused = await client.post("/v1/rag/chat", json=QUESTION)
        assert (refused.status_code, "'generate'" in refused.text) == (403, True)
    async with talking_to(keyed_app(library, api_key(scopes={"generate"})), **BEARER) as client:
        assert (await client.post("/v1/rag/search", json=SEARCH)).status_code == 403
        refused = await client.post(chat_path, json=chat(rag={}))
        assert (refused.status_code, "'rag'" in refused.text) == (403, True)
    both = api_key(scopes={"generate", "rag"})
    async with talking_to(keyed_app(library, both), **BEARER) as client:
        assert (await client.post("/v1/rag/chat", json=QUESTION)).status_code == 200
        assert (await client.post(chat_path, json=chat(rag={}))).status_code == 200


async def test_a_key_without_a_model_that_answers_is_told_so(library: FakeServices) -> None:
    async with talking_to(keyed_app(library, api_key(models=["other"])), **BEARER) as client:
        refused = await client.post("/v1/rag/chat", json={"query": "Which river rose?"})
    assert (refused.status_code, "may use" in refused.text) == (404, True)
