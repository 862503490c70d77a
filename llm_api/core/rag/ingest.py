"""Documents into a collection: prepared, embedded and written, all three at the same time.

    window 1   prepare │ embed   │ write
    window 2           │ prepare │ embed   │ write
    window 3                     │ prepare │ embed   │ write

A window is some documents in a row; the first ones are small, so that embedding begins soon. Two
may be at the embedder, so that it has the next one when it is through with one; one is written at a
time; no more than `WINDOWS` are in memory.

A fault of a document is its own failure. A fault of the store or the model ends the ingest: all
that was reported is stored, and the same ingest again goes on from there.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, Iterable, Sequence
from typing import TypeVar

from llm_api.core.embeddings.embedder import Embedder
from llm_api.core.errors import InvalidRequestError
from llm_api.core.rag.embed_documents import embed_documents, embedding_of
from llm_api.core.rag.prepare import Chunking, Preparation
from llm_api.core.rag.reports import DocumentOutcome, Report, StageTimes, failed
from llm_api.core.rag.types import Document
from llm_api.core.rag.vector_store import NewDocument, VectorStore
from llm_api.core.utils.distribution import Distribution
from llm_api.core.utils.long_work import to_the_end

Item = TypeVar("Item")

WINDOWS = 4
WINDOW_DOCUMENTS = 256
WINDOW_CHARACTERS = 200_000
FIRST_SHARE = 4
"""How many times smaller the first window is; each after it is twice as large, up to the whole."""
_LAST_DOCUMENTS = WINDOW_DOCUMENTS // 8


class Ingester:
    """Brings documents into the collections of a store."""

    def __init__(
        self,
        store: VectorStore,
        embedder: Embedder,
        chunking: Chunking,
        times: StageTimes | None = None,
    ) -> None:
        self._store = store
        self._embedder = embedder
        self._chunking = chunking
        self._times = (times or StageTimes()).ingest

    async def ingest(
        self, collection: str, documents: AsyncIterable[Document], report: Report
    ) -> None:
        """Store the documents that are not stored yet. The collection is made if need be.

        Cancelling waits for the write under way. Raises what ends the ingest, such as
        UnavailableError, StorageFullError or EmbeddingMismatchError.
        """
        embedding = await embedding_of(self._embedder)
        await self._store.create_collection(collection, embedding)
        preparation = Preparation(self._store, self._chunking, collection, embedding.model, report)
        writer = _Writer(self._store, collection, embedding.model, report, self._times["write"])
        rooms, embedding_rooms = asyncio.Semaphore(WINDOWS), asyncio.Semaphore(2)

        async def bring_in(window: Sequence[Document]) -> None:
            with self._times["prepare"].timed():
                prepared = await preparation.prepare(window)
            async with embedding_rooms:
                with self._times["embed"].timed():
                    ready = await embed_documents(self._embedder, prepared, report)
            await writer.write(ready)

        try:
            async with asyncio.TaskGroup() as group:
                async for window in _windows(documents):
                    await rooms.acquire()
                    task = group.create_task(bring_in(window))
                    task.add_done_callback(lambda _: rooms.release())
        except ExceptionGroup as errors:
            raise errors.exceptions[0] from errors
        await preparation.report_repeated()


async def each(there: Iterable[Item]) -> AsyncGenerator[Item, None]:
    """What is there already, documents foremost, as an ingest takes it."""
    for one in there:
        yield one


async def _windows(documents: AsyncIterable[Document]) -> AsyncGenerator[list[Document], None]:
    window: list[Document] = []
    characters, share = 0, FIRST_SHARE
    async for document in documents:
        window.append(document)
        characters += len(document.text)
        if len(window) * share >= WINDOW_DOCUMENTS or characters * share >= WINDOW_CHARACTERS:
            yield window
            window, characters, share = [], 0, max(1, share // 2)
    if len(window) > WINDOW_DOCUMENTS // 2:  # the last write, which nothing is beside, is short
        yield window[:-_LAST_DOCUMENTS]
        window = window[-_LAST_DOCUMENTS:]
    if window:
        yield window


class _Writer:
    """Writes windows, one at a time, each to the end."""

    def __init__(
        self,
        store: VectorStore,
        collection: str,
        model: str,
        report: Report,
        seconds: Distribution,
    ) -> None:
        self._store = store
        self._collection = collection
        self._model = model
        self._report = report
        self._seconds = seconds
        self._writing = asyncio.Lock()

    async def write(self, documents: Sequence[NewDocument]) -> None:
        async with self._writing:
            with self._seconds.timed():
                await to_the_end(self._write(documents))

    async def _write(self, documents: Sequence[NewDocument]) -> None:
        """All at once; where that is refused, one by one, to find out which one it is about."""
        if not documents:
            return
        try:
            written = await self._store.replace_documents(self._collection, self._model, documents)
        except InvalidRequestError as error:
            if len(documents) == 1:
                self._report(failed(documents[0].document.id, error))
                return
            for one in documents:
                await self._write([one])
            return
        for one, what in zip(documents, written, strict=True):
            self._report(DocumentOutcome(one.document.id, what, len(one.chunks)))
