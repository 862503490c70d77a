"""A collection embedded anew, over the real store in memory."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from pathlib import Path

import pytest

from llm_api.core.embeddings.embedder import EmbedderCard, EmbeddingRequest, Embeddings
from llm_api.core.errors import CollectionNotFoundError, EmbeddingError, VectorStoreError
from llm_api.core.rag.chunking import ChunkSettings
from llm_api.core.rag.ingest import each
from llm_api.core.rag.jobs import IngestJobs
from llm_api.core.rag.loaders.file_loader import FileLoader
from llm_api.core.rag.opening import VectorStoreOptions, open_vector_store
from llm_api.core.rag.outcome import DocumentOutcome
from llm_api.core.rag.reindex import reindex
from llm_api.core.rag.retrieval import Retrieval
from llm_api.core.rag.retrieve import Retriever
from llm_api.core.rag.types import Document
from llm_api.core.rag.vector_store import VectorStore
from tests.core.rag.fakes import DIMENSION, FakeEmbedder

DOCUMENTS = [Document(f"d{n}", f"words of number{n}", metadata={"n": n}) for n in range(5)]


def quiet(_: DocumentOutcome) -> None:
    pass


def other_model() -> FakeEmbedder:
    return FakeEmbedder(EmbedderCard("other", 0, "tests", dimension=DIMENSION))


@pytest.fixture
async def store() -> AsyncGenerator[VectorStore, None]:
    async with open_vector_store(VectorStoreOptions(Path(), is_in_memory=True)) as store:
        yield store


async def retrieval(store: VectorStore, embedder: FakeEmbedder) -> Retrieval:
    async with aclosing(IngestJobs()) as jobs, FileLoader() as loader:
        retriever = Retriever(store, embedder)
        return Retrieval(store, embedder, loader, jobs, retriever, ChunkSettings(), 3)


async def test_collection_has_the_new_models_vectors_and_all_its_documents(
    store: VectorStore,
) -> None:
    old = await retrieval(store, FakeEmbedder())
    await old.ingest("default", each(DOCUMENTS), quiet)
    new = await retrieval(store, other_model())
    outcomes: list[DocumentOutcome] = []
    await reindex(new, "default", outcomes.append)
    (collection,) = await store.list_collections()
    assert (collection.name, collection.embedding.model) == ("default", "other")
    assert (collection.documents, len(outcomes)) == (5, 5)
    assert (await store.read_document("default", "d3")) == DOCUMENTS[3]


async def test_what_is_stored_or_deleted_meanwhile_is_taken_over(store: VectorStore) -> None:
    old = await retrieval(store, FakeEmbedder())
    await old.ingest("default", each(DOCUMENTS), quiet)
    changed = Document("d0", "other words")

    class Busy(FakeEmbedder):
        """While it embeds for the first time, somebody writes to the old collection."""

        async def embed(self, request: EmbeddingRequest) -> Embeddings:
            if not self.requests:
                await old.ingest("default", each([changed, Document("new", "new words")]), quiet)
                await store.delete_documents("default", ["d1"])
            return await super().embed(request)

    new = await retrieval(store, Busy(other_model().card))
    await reindex(new, "default", quiet)
    assert (await store.read_document("default", "d0")).text == "other words"
    assert (await store.read_document("default", "new")).text == "new words"
    assert (await store.describe_collection("default")).documents == 5


async def test_old_vectors_stay_where_a_document_cannot_be_embedded(store: VectorStore) -> None:
    old = await retrieval(store, FakeEmbedder())
    await old.ingest("default", each(DOCUMENTS), quiet)
    broken = other_model()
    broken.failures["number3"] = EmbeddingError("No vector.")
    with pytest.raises(VectorStoreError, match="d3: No vector"):
        await reindex(await retrieval(store, broken), "default", quiet)
    assert (await store.describe_collection("default")).embedding.model == "words"
    await reindex(await retrieval(store, other_model()), "default", quiet)
    assert (await store.describe_collection("default")).documents == 5


async def test_collection_that_is_not_there_is_named(store: VectorStore) -> None:
    with pytest.raises(CollectionNotFoundError):
        await reindex(await retrieval(store, other_model()), "nothing", quiet)
