"""A collection embedded anew, over the real store in memory."""

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import replace
from pathlib import Path

import pytest

from llm_api.core.embeddings.embedder import EmbedderCard, EmbeddingRequest, Embeddings
from llm_api.core.errors import CollectionNotFoundError, EmbeddingError, VectorStoreError
from llm_api.core.rag.ingest import each
from llm_api.core.rag.reindex import is_renewed, reindex
from llm_api.core.rag.reports import DocumentOutcome
from llm_api.core.rag.retrieval import Retrieval
from llm_api.core.rag.stores.document_store import DocumentStore
from llm_api.core.rag.stores.edge import open_edge
from llm_api.core.rag.stores.points import Recipe
from llm_api.core.rag.types import Document
from llm_api.core.rag.vector_store import FIRST_RULE, NEWEST_RULE, EmbeddingModel
from tests.core.rag.fakes import DIMENSION, MODEL, FakeEmbedder, open_retrieval

DOCUMENTS = [Document(f"d{n}", f"words of number{n}", metadata={"n": n}) for n in range(5)]


def quiet(_: DocumentOutcome) -> None:
    pass


def other_model() -> FakeEmbedder:
    return FakeEmbedder(EmbedderCard("other", 0, "tests", dimension=DIMENSION))


@pytest.fixture
async def old() -> AsyncGenerator[Retrieval, None]:
    """A collection with all documents."""
    async with open_retrieval() as retrieval:
        await retrieval.ingest("default", each(DOCUMENTS), quiet)
        yield retrieval


def by(embedder: FakeEmbedder, old: Retrieval) -> Retrieval:
    """The same store, with another embedder."""
    return replace(old, embedder=embedder)


async def test_collection_has_the_new_models_vectors_and_all_its_documents(old: Retrieval) -> None:
    new = by(other_model(), old)
    outcomes: list[DocumentOutcome] = []
    await reindex(new, "default", outcomes.append)
    (collection,) = await old.store.list_collections()
    assert (collection.name, collection.embedding.model) == ("default", "other")
    assert (collection.documents, len(outcomes)) == (5, 5)
    assert (await old.store.read_document("default", "d3")) == DOCUMENTS[3]


async def test_words_are_cut_by_the_newest_rule_though_the_model_stays(
    old: Retrieval, tmp_path: Path
) -> None:
    async with open_edge(tmp_path, is_durable=False) as engine:
        await engine.create("default", Recipe(EmbeddingModel(MODEL, DIMENSION), FIRST_RULE))
        store = DocumentStore(engine)
        retrieval = replace(old, store=store)
        await retrieval.ingest("default", each(DOCUMENTS), quiet)
        assert (await store.describe_collection("default")).word_rule == FIRST_RULE
        await reindex(retrieval, "default", quiet)
        assert (await store.describe_collection("default")).word_rule == NEWEST_RULE


async def test_what_is_stored_or_deleted_meanwhile_is_taken_over(old: Retrieval) -> None:
    changed = Document("d0", "other words")

    class Busy(FakeEmbedder):
        """While it embeds for the first time, somebody writes to the old collection."""

        async def embed(self, request: EmbeddingRequest) -> Embeddings:
            if not self.requests:
                await old.ingest("default", each([changed, Document("new", "new words")]), quiet)
                await old.store.delete_documents("default", ["d1"])
            return await super().embed(request)

    new = by(Busy(other_model().card), old)
    await reindex(new, "default", quiet)
    assert (await old.store.read_document("default", "d0")).text == "other words"
    assert (await old.store.read_document("default", "new")).text == "new words"
    assert (await old.store.describe_collection("default")).documents == 5


async def test_old_vectors_stay_where_a_document_cannot_be_embedded(old: Retrieval) -> None:
    broken = other_model()
    broken.failures["number3"] = EmbeddingError("No vector.")
    with pytest.raises(VectorStoreError, match="d3: No vector"):
        await reindex(by(broken, old), "default", quiet)
    assert (await old.store.describe_collection("default")).embedding.model == "words"
    await reindex(by(other_model(), old), "default", quiet)
    assert (await old.store.describe_collection("default")).documents == 5


async def test_collection_that_is_not_there_is_named(old: Retrieval) -> None:
    with pytest.raises(CollectionNotFoundError):
        await reindex(by(other_model(), old), "nothing", quiet)


async def test_collection_of_this_model_needs_nothing(old: Retrieval) -> None:
    assert await is_renewed(old, "default")
    assert not await is_renewed(by(other_model(), old), "default")


@pytest.mark.parametrize("keeps_copy", [False, True])
async def test_cancelled_it_leaves_nothing_that_is_not_wanted(
    old: Retrieval, keeps_copy: bool
) -> None:
    async def interrupted(after: int) -> None:
        working = asyncio.Event()

        class Slow(FakeEmbedder):
            async def embed(self, request: EmbeddingRequest) -> Embeddings:
                if len(self.requests) >= after:
                    working.set()
                    await asyncio.sleep(60)
                return await super().embed(request)

        task = asyncio.create_task(
            reindex(by(Slow(other_model().card), old), "default", quiet, keeps_copy=keeps_copy)
        )
        await working.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    await interrupted(0)
    assert [one.name for one in await old.store.list_collections()] == ["default"]
    await old.ingest("default", each([Document("x", "a\n" * 300 + "end")]), quiet)
    await old.ingest("default", each([Document(f"y{n}", "b " * 60_000) for n in range(2)]), quiet)
    await interrupted(1)
    names = [one.name for one in await old.store.list_collections()]
    assert names == (["default", "default-new"] if keeps_copy else ["default"])
    assert await is_renewed(old, "default")
