import asyncio
import time
from collections.abc import AsyncGenerator, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import count

import pytest

from llm_api.core.embeddings.embedder import EmbedderCard
from llm_api.core.errors import (
    ContextLengthExceededError,
    EmbeddingError,
    EmbeddingMismatchError,
    InvalidRequestError,
    VectorStoreUnavailableError,
)
from llm_api.core.rag import ingest as module
from llm_api.core.rag import prepare
from llm_api.core.rag.filters import EVERYTHING, Filter
from llm_api.core.rag.identity import new_document
from llm_api.core.rag.ingest import Ingester, each
from llm_api.core.rag.prepare import Chunking
from llm_api.core.rag.reports import DocumentOutcome
from llm_api.core.rag.types import Chunk, Document, Span, TextSection
from llm_api.core.rag.vector_store import EmbeddingModel, NewDocument, Written
from llm_api.core.utils.long_work import SLICE_SECONDS
from tests.core.rag.fakes import DIMENSION, MODEL, FakeEmbedder, FakeStore, by_lines, lines
from tests.live import PATIENCE_SECONDS


@dataclass
class Bench:
    """An ingester between fakes."""

    store: FakeStore = field(default_factory=FakeStore)
    embedder: FakeEmbedder = field(default_factory=FakeEmbedder)
    chunking: Chunking = field(default_factory=by_lines)
    reported: list[DocumentOutcome] = field(default_factory=list)

    async def ingest(self, *documents: Document) -> dict[str, DocumentOutcome]:
        """Outcomes by document of this ingest alone."""
        return await self.ingest_from(each(documents))

    async def ingest_from(
        self, documents: AsyncGenerator[Document, None]
    ) -> dict[str, DocumentOutcome]:
        self.reported = []
        ingester = Ingester(self.store, self.embedder, self.chunking)
        await ingester.ingest("default", documents, self.reported.append)
        return {outcome.document_id: outcome for outcome in self.reported}


def numbered(count: int) -> list[Document]:
    return [Document(f"d{number}", f"text {number}") for number in range(count)]


ONE = Document("one", "The cat sleeps.\nThe dog barks.", "Animals", {"year": 2020})


async def test_document_is_stored_with_its_chunks_vectors_and_words() -> None:
    bench = Bench()
    outcomes = await bench.ingest(ONE)
    assert outcomes == {"one": DocumentOutcome("one", "created", chunks=2)}
    stored = bench.store.documents()["one"]
    assert stored.document == ONE
    assert [chunk.chunk for chunk in stored.chunks] == lines(ONE)
    assert [chunk.words for chunk in stored.chunks] == [
        "Animals\nThe cat sleeps.",
        "Animals\nThe dog barks.",
    ]
    assert bench.embedder.texts == [chunk.words for chunk in stored.chunks]
    assert {request.input_type for request in bench.embedder.requests} == {"document"}


async def test_same_document_again_changes_nothing_and_embeds_nothing() -> None:
    bench = Bench()
    await bench.ingest(ONE)
    bench.embedder.requests.clear()
    bench.store.calls.clear()
    assert (await bench.ingest(ONE))["one"] == DocumentOutcome("one", "unchanged", chunks=2)
    assert (bench.embedder.requests, bench.store.calls) == ([], [])


@pytest.mark.parametrize(
    "changed",
    [
        replace(ONE, text="The cat sleeps."),
        replace(ONE, title="Pets"),
        replace(ONE, sections=(TextSection(0, ("Cats",)),)),
    ],
    ids=["text", "title", "sections"],
)
async def test_changed_document_is_embedded_again(changed: Document) -> None:
    bench = Bench()
    await bench.ingest(ONE)
    assert (await bench.ingest(changed))["one"].what == "replaced"
    assert bench.store.documents()["one"].document == changed


async def test_other_chunking_replaces_the_chunks() -> None:
    bench = Bench()
    await bench.ingest(ONE)
    bench.chunking = Chunking(lambda document: iter(lines(document)[:1]), "first line")
    assert (await bench.ingest(ONE))["one"] == DocumentOutcome("one", "replaced", chunks=1)


async def test_changed_metadata_are_stored_without_embedding() -> None:
    bench = Bench()
    await bench.ingest(ONE)
    bench.embedder.requests.clear()
    outcomes = await bench.ingest(replace(ONE, metadata={"year": 2021}))
    assert outcomes["one"] == DocumentOutcome("one", "updated", chunks=2)
    assert bench.embedder.requests == []
    assert bench.store.documents()["one"].document.metadata == {"year": 2021}


async def test_document_without_id_is_known_by_its_words() -> None:
    bench = Bench()
    first = new_document("Some words.", metadata={"source": "a"})
    await bench.ingest(first)
    again = await bench.ingest(new_document("Some words.", metadata={"source": "b"}))
    assert again[first.id].what == "updated"
    assert (await bench.ingest(new_document("Other words.")))[
        new_document("Other words.").id
    ].what == "created"


async def test_identical_documents_of_one_ingest_are_stored_once() -> None:
    bench = Bench()
    await bench.ingest(ONE, ONE)
    assert [outcome.what for outcome in bench.reported] == ["created", "unchanged"]
    assert len(bench.embedder.texts) == 2


async def test_repetition_of_a_document_that_failed_has_failed() -> None:
    bench = Bench(embedder=FakeEmbedder(failures={"cat": EmbeddingError("No vector.")}))
    await bench.ingest(ONE, ONE)
    assert [outcome.what for outcome in bench.reported] == ["failed", "failed"]


async def test_different_documents_of_one_id_are_not_mixed_up() -> None:
    bench = Bench()
    await bench.ingest(ONE, replace(ONE, text="Something else."))
    assert [(outcome.document_id, outcome.what) for outcome in bench.reported] == [
        ("one", "failed"),
        ("one", "created"),
    ]
    assert bench.store.documents()["one"].document == ONE


def broken_for(id_: str) -> Chunking:
    def split(document: Document) -> Iterator[Chunk]:
        if document.id == id_:
            raise ZeroDivisionError
        yield from lines(document)

    return Chunking(split, "lines")


@pytest.mark.parametrize(
    ("bench", "bad", "reason"),
    [
        (Bench(), Document("bad", " \n"), "There are no words in it."),
        (Bench(), Document("bad", "x", metadata={"n": float("nan")}), "A number is finite."),
        (Bench(chunking=broken_for("bad")), Document("bad", "x"), "Cutting it into chunks failed"),
        (
            Bench(embedder=FakeEmbedder(failures={"poison": EmbeddingError("No\nvector.")})),
            Document("bad", "poison"),
            "No vector.",
        ),
        (
            Bench(store=FakeStore(failures={"poison": InvalidRequestError("Too long an id.")})),
            Document("bad", "poison"),
            "Too long an id.",
        ),
    ],
    ids=["empty", "metadata", "chunking", "embedding", "storing"],
)
async def test_failing_document_does_not_stop_the_others(
    bench: Bench, bad: Document, reason: str
) -> None:
    outcomes = await bench.ingest(ONE, bad, Document("two", "More."))
    assert {outcome.document_id: outcome.what for outcome in bench.reported} == {
        "one": "created",
        "bad": "failed",
        "two": "created",
    }
    assert outcomes["bad"].reason.startswith(reason)
    assert bench.store.documents().keys() == {"one", "two"}


async def test_chunk_that_fits_only_without_its_header_is_embedded_without() -> None:
    too_long = ContextLengthExceededError("Too long.")
    bench = Bench(embedder=FakeEmbedder(failures={"Animals": too_long}))
    assert (await bench.ingest(ONE))["one"].what == "created"
    assert [chunk.words for chunk in bench.store.documents()["one"].chunks] == [
        "The cat sleeps.",
        "The dog barks.",
    ]


async def test_chunk_that_is_too_long_by_itself_is_refused() -> None:
    too_long = ContextLengthExceededError("Too long.")
    bench = Bench(embedder=FakeEmbedder(failures={"cat": too_long}))
    assert (await bench.ingest(ONE))["one"].reason == "Too long."


async def test_store_that_is_down_ends_the_ingest() -> None:
    down = VectorStoreUnavailableError("Down.")
    bench = Bench(store=FakeStore(failures={"text 1": down}))
    with pytest.raises(VectorStoreUnavailableError):
        await bench.ingest(*numbered(3))
    assert bench.reported == []


async def test_collection_of_another_embedding_is_refused_before_anything_is_embedded() -> None:
    bench = Bench()
    await bench.store.create_collection("default", EmbeddingModel("other", DIMENSION))
    with pytest.raises(EmbeddingMismatchError):
        await bench.ingest(ONE)
    assert bench.embedder.requests == []


async def test_dimension_that_nobody_knows_is_found_out() -> None:
    bench = Bench(embedder=FakeEmbedder(EmbedderCard(MODEL, 0, "tests")))
    await bench.ingest(ONE)
    assert bench.store.collections["default"][0] == EmbeddingModel(MODEL, DIMENSION)


async def test_every_document_of_many_windows_is_stored_and_reported_once() -> None:
    bench = Bench()
    documents = numbered(5 * module.WINDOW_DOCUMENTS + 1)
    await bench.ingest(*documents)
    assert sorted(outcome.document_id for outcome in bench.reported) == sorted(
        document.id for document in documents
    )
    assert len(bench.store.documents()) == len(documents)
    first = module.WINDOW_DOCUMENTS // module.FIRST_SHARE
    rising = sum(first << step for step in range(module.FIRST_SHARE.bit_length() - 1))
    windows = -(-(len(documents) - rising) // module.WINDOW_DOCUMENTS)
    assert len(bench.store.calls) == module.FIRST_SHARE.bit_length() - 1 + windows


async def test_memory_is_bounded_while_the_store_is_slow() -> None:
    bench = Bench(store=FakeStore(seconds=0.01))
    read = 0

    async def source(documents: Iterable[Document]) -> AsyncGenerator[Document, None]:
        nonlocal read
        for document in documents:
            read += 1
            assert read - len(bench.reported) <= (module.WINDOWS + 1) * module.WINDOW_DOCUMENTS
            yield document

    await bench.ingest_from(source(numbered(20 * module.WINDOW_DOCUMENTS)))
    assert read == 20 * module.WINDOW_DOCUMENTS


async def test_embedder_is_busy_while_the_store_writes() -> None:
    bench = Bench(FakeStore(seconds=0.05), FakeEmbedder(seconds=0.05))
    writing_while_embedding = 0

    class Watched(FakeStore):
        async def replace_documents(
            self,
            collection: str,
            model: str,
            documents: Sequence[NewDocument],
            within: Filter = EVERYTHING,
        ) -> tuple[Written, ...]:
            nonlocal writing_while_embedding
            asked = len(bench.embedder.requests)
            written = await super().replace_documents(collection, model, documents, within)
            writing_while_embedding += len(bench.embedder.requests) > asked
            return written

    bench.store = Watched(seconds=0.05)
    await bench.ingest(*numbered(8 * module.WINDOW_DOCUMENTS))
    assert writing_while_embedding >= 3


async def test_cancelling_lets_the_write_under_way_end_and_starts_no_other() -> None:
    bench = Bench(store=FakeStore(seconds=0.05))
    task = asyncio.create_task(bench.ingest(*numbered(5 * module.WINDOW_DOCUMENTS)))
    while not bench.store.calls:
        await asyncio.sleep(0.001)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    first = module.WINDOW_DOCUMENTS // module.FIRST_SHARE
    assert len(bench.store.documents()) == len(bench.reported) == first
    assert bench.store.calls == ["replace"]


def endless(begun: list[int]) -> Chunking:
    def split(document: Document) -> Iterator[Chunk]:
        for position in count():
            begun.append(position)
            time.sleep(0.001)
            yield Chunk(str(position), document.id, position, "x", Span(0, 1))

    return Chunking(split, "endless")


async def test_cancelled_ingest_cuts_no_further() -> None:
    begun: list[int] = []
    bench = Bench(chunking=endless(begun))
    ingesting = asyncio.create_task(bench.ingest(ONE))
    while not begun:
        await asyncio.sleep(0.001)
    ingesting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await ingesting
    await asyncio.sleep(2 * SLICE_SECONDS)
    cut = len(begun)
    await asyncio.sleep(5 * SLICE_SECONDS)
    assert len(begun) == cut


async def test_long_document_gives_way_to_a_short_one() -> None:
    begun: list[int] = []
    turns = asyncio.Lock()
    long = Bench(chunking=replace(endless(begun), turns=turns))
    short = Bench(chunking=replace(by_lines(), turns=turns))
    ingesting = asyncio.create_task(long.ingest(ONE))
    while not begun:
        await asyncio.sleep(0.001)
    async with asyncio.timeout(PATIENCE_SECONDS):
        assert (await short.ingest(ONE))["one"].what == "created"
    assert not ingesting.done()
    ingesting.cancel()
    await asyncio.gather(ingesting, return_exceptions=True)


async def test_document_of_too_many_chunks_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prepare, "MAX_CHUNKS", 2)
    bench = Bench()
    outcomes = await bench.ingest(ONE, Document("long", "a\nb\nc"))
    assert outcomes["one"].what == "created"
    assert outcomes["long"].reason == "It has more than 2 chunks; split it."
