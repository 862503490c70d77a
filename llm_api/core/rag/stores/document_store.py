"""The `VectorStore` over any engine: how documents are written, found and cleaned up after.

A write is a sequence that may end anywhere, by a crash of this process, of the engine, or of the
machine. The engine applies and keeps every step whole, in this order:

    1. intents: the versions about to be written, and those they replace
    2. content and chunks of the new versions, which nothing refers to yet
    3. the records: each makes the new version of its document valid, the old one invalid
    4. the replaced versions deleted, then the intents

A search drops chunks whose version is not their record's, so a document is seen whole, old or new.
What a crash leaves lying is named by the intents: `recover` deletes it.

Several processes may share an engine. Two that write the same document at the same moment leave one
of both versions, whole; chunks of the other may stay, invisible, until the collection is rebuilt.
"""

import asyncio
import logging
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from itertools import islice
from typing import TypeVar
from uuid import UUID

import numpy as np

from llm_api.core.errors import (
    DocumentNotFoundError,
    EmbeddingMismatchError,
    InvalidRequestError,
    VectorStoreError,
)
from llm_api.core.rag.bm25 import Bm25
from llm_api.core.rag.filters import Filter
from llm_api.core.rag.metadata import check_metadata
from llm_api.core.rag.stores import layout
from llm_api.core.rag.stores.points import (
    AllOf,
    Condition,
    Engine,
    Match,
    Not,
    Point,
    Points,
    ranges,
)
from llm_api.core.rag.stores.ranking import Question, Ranked, rank
from llm_api.core.rag.types import Document, Metadata
from llm_api.core.rag.vector_store import (
    Collection,
    DocumentPage,
    DocumentRecord,
    Embedding,
    Hit,
    NewDocument,
    SearchQuery,
    Written,
)

log = logging.getLogger(__name__)

BATCH_POINTS = 256
MAX_ID = 512
MAX_ATTEMPTS = 20
"""At something that others replace at the same time, again and again."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True, eq=False)
class _Write:
    """A document on its way in. `old` is what it replaces."""

    new: NewDocument
    parts: Sequence[str]
    version: layout.Version
    old: layout.Version | None
    started_at: float

    def intent(self) -> layout.Intent:
        versions = (self.version,) if self.old is None else (self.version, self.old)
        return layout.Intent(self.new.document.id, self.started_at, versions)


class DocumentStore:
    """Documents in the collections of `engine`. `clock` gives Unix seconds."""

    def __init__(self, engine: Engine, clock: Callable[[], float] = time.time) -> None:
        self._engine = engine
        self._clock = clock
        self._bm25 = Bm25()
        self._writing: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    # Collections

    async def create_collection(self, name: str, embedding: Embedding) -> None:
        _check_collection_name(name)
        if name not in await self._engine.names():
            await self._engine.create(name, embedding)
            return
        _check_embedding(name, await self._engine.embedding(name), embedding)

    async def describe_collection(self, name: str) -> Collection:
        embedding = await self._engine.embedding(name)
        points = self._engine.points(name)
        documents = await points.count(layout.DOCUMENTS)
        return Collection(name, embedding, documents, await points.count(layout.CHUNKS))

    async def list_collections(self) -> tuple[Collection, ...]:
        names = sorted(await self._engine.names())
        return tuple([await self.describe_collection(name) for name in names])

    async def delete_collection(self, name: str) -> None:
        async with self._writing[name]:
            await self._engine.drop(name)

    async def rename_collection(self, name: str, new_name: str) -> None:
        _check_collection_name(new_name)
        async with AsyncExitStack() as locks:
            for one in sorted({name, new_name}):
                await locks.enter_async_context(self._writing[one])
            await self._engine.rename(name, new_name)

    # Writing

    async def replace_documents(
        self, collection: str, model: str, documents: Sequence[NewDocument]
    ) -> tuple[Written, ...]:
        _check_documents(documents)
        stored = await self._engine.embedding(collection)
        for length in {len(one.vector) for new in documents for one in new.chunks}:
            _check_embedding(collection, stored, Embedding(model, length))
        points = self._engine.points(collection)
        async with self._writing[collection]:
            records = await _records(points, [new.document.id for new in documents])
            said = tuple(_what_happens(new, records) for new in documents)
            pairs = zip(documents, said, strict=True)
            writes = [self._write(new, records) for new, what in pairs if what != "unchanged"]
            if writes:
                await self._apply(points, writes)
        return said

    def _write(self, new: NewDocument, records: dict[str, layout.StoredDocument]) -> _Write:
        parts = layout.content_parts(new.document)
        version = layout.new_version(new, parts)
        record = records.get(new.document.id)
        old = None if record is None or record.version == version.id else record.written()
        return _Write(new, parts, version, old, self._clock())

    async def _apply(self, points: Points, writes: Sequence[_Write]) -> None:
        intents = [write.intent().point() for write in writes]
        await points.upsert(intents)  # 1
        for write in writes:  # 2
            for part in layout.content_points(write.new, write.version, write.parts):
                await points.upsert([part])
            for batch in _batches(await asyncio.to_thread(self._chunks_of, write)):
                await points.upsert(batch)
        await points.upsert(  # 3
            [layout.record_point(write.new, write.version, write.started_at) for write in writes]
        )
        await _delete_versions(points, (write.old for write in writes if write.old))  # 4
        await points.delete([intent.id for intent in intents])
        await points.flush()

    def _chunks_of(self, write: _Write) -> list[Point]:
        sparse = [self._bm25.document(one.words) for one in write.new.chunks]
        return list(layout.chunk_points(write.new, write.version, sparse))

    async def delete_documents(self, collection: str, ids: Sequence[str]) -> int:
        await self._engine.embedding(collection)
        points = self._engine.points(collection)
        async with self._writing[collection]:
            deleted = 0
            for batch in _batches(dict.fromkeys(ids)):
                deleted += await self._delete(points, await _records(points, batch))
            if deleted:
                await points.flush()
        return deleted

    async def delete_matching(self, collection: str, filter: Filter) -> int:
        await self._engine.embedding(collection)
        points = self._engine.points(collection)
        where = AllOf((layout.DOCUMENTS, layout.condition(filter)))
        async with self._writing[collection]:
            deleted = 0
            while found := (await points.scroll(where, BATCH_POINTS))[0]:
                records = [layout.read_document(one.payload) for one in found.values()]
                deleted += await self._delete(points, {one.document_id: one for one in records})
            if deleted:
                await points.flush()
        return deleted

    async def _delete(self, points: Points, records: dict[str, layout.StoredDocument]) -> int:
        intents = [
            layout.Intent(id_, self._clock(), (record.written(),)).point()
            for id_, record in records.items()
        ]
        if intents:
            await points.upsert(intents)
            await points.delete([layout.record_id(id_) for id_ in records])
            await _delete_versions(points, (record.written() for record in records.values()))
            await points.delete([intent.id for intent in intents])
        return len(records)

    async def update_metadata(
        self, collection: str, document_id: str, metadata: Metadata, title: str | None = None
    ) -> DocumentRecord:
        check_metadata(metadata)
        await self._engine.embedding(collection)
        points = self._engine.points(collection)
        async with self._writing[collection]:
            record = await _record(points, document_id)
            ids = [layout.record_id(document_id), *record.written().chunk_ids()]
            title = record.title if title is None else title
            await points.set_payload(ids, layout.metadata_payload(metadata, title))
            await points.flush()
        return (await _record(points, document_id)).record()

    # Reading

    async def get_document(self, collection: str, document_id: str) -> DocumentRecord:
        await self._engine.embedding(collection)
        return (await _record(self._engine.points(collection), document_id)).record()

    async def read_document(self, collection: str, document_id: str) -> Document:
        await self._engine.embedding(collection)
        points = self._engine.points(collection)
        for _ in range(MAX_ATTEMPTS):
            record = await _record(points, document_id)
            ids = record.written().part_ids()
            parts = await points.retrieve(ids)
            if len(parts) == len(ids):
                text, sections = layout.read_content([parts[id_].payload for id_ in ids])
                return Document(record.document_id, text, record.title, record.metadata, sections)
        raise VectorStoreError(f"Document {document_id!r} is not complete: store it again.")

    async def list_documents(
        self,
        collection: str,
        filter: Filter,
        cursor: str | None,
        limit: int,
    ) -> DocumentPage:
        await self._engine.embedding(collection)
        where = AllOf((layout.DOCUMENTS, layout.condition(filter)))
        points = self._engine.points(collection)
        found, following = await points.scroll(where, limit, _check_cursor(cursor))
        records = (layout.read_document(one.payload).record() for one in found.values())
        return DocumentPage(tuple(records), following)

    async def search(self, collection: str, query: SearchQuery) -> tuple[Hit, ...]:
        stored = await self._engine.embedding(collection)
        if query.vector is not None:
            asked = Embedding(query.vector.model, len(query.vector.values))
            _check_embedding(collection, stored, asked)
        points = self._engine.points(collection)
        wanted = layout.condition(query.filter)
        if keys := {part.key for part in ranges(wanted)}:
            await points.index_numbers(keys)
        question = self._question(query)
        invalid: set[str] = set()
        hits: tuple[Hit, ...] = ()
        for _ in range(MAX_ATTEMPTS):
            ranked = await rank(points, question, _but(wanted, invalid))
            hits, found_invalid = await _hits(points, ranked, with_vectors=query.with_vectors)
            if len(hits) == len(ranked):
                break
            invalid |= found_invalid  # none where a chunk was deleted meanwhile
        return hits

    def _question(self, query: SearchQuery) -> Question:
        dense = None if query.vector is None else query.vector.values
        sparse = None if query.mode == "dense" else self._bm25.query(query.text)
        return Question(query.mode, dense, sparse, query.top_k, query.score_threshold)

    # After a crash

    async def recover(self, older_than_seconds: float) -> None:
        """Clean up after writes that began so long ago and have not ended."""
        latest = self._clock() - older_than_seconds
        for name in await self._engine.names():
            points = self._engine.points(name)
            async for intent_id, intent in _intents(points):
                if intent.started_at <= latest:
                    await self._clean_up(points, intent_id, intent)

    async def _clean_up(self, points: Points, intent_id: str, intent: layout.Intent) -> None:
        record = (await _records(points, [intent.document_id])).get(intent.document_id)
        valid = None if record is None else record.version
        log.info("cleaning up after an unfinished write of document %r", intent.document_id)
        await _delete_versions(points, (one for one in intent.versions if one.id != valid))
        await points.delete([intent_id])
        await points.flush()


async def _records(points: Points, ids: Iterable[str]) -> dict[str, layout.StoredDocument]:
    """Records by document id, of those that are there."""
    stored = await points.retrieve([layout.record_id(id_) for id_ in ids])
    records = (layout.read_document(point.payload) for point in stored.values())
    return {record.document_id: record for record in records}


async def _record(points: Points, document_id: str) -> layout.StoredDocument:
    records = await _records(points, [document_id])
    if document_id not in records:
        raise DocumentNotFoundError(f"There is no document {document_id!r}.")
    return records[document_id]


async def _hits(
    points: Points, ranked: Sequence[Ranked], *, with_vectors: bool
) -> tuple[tuple[Hit, ...], set[str]]:
    """The valid ones of `ranked` as hits, and the versions of the others."""
    stored = await points.retrieve([one.id for one in ranked], with_vectors=with_vectors)
    chunks = {id_: layout.read_chunk(point.payload) for id_, point in stored.items()}
    records = await _records(points, {chunk.document_id for chunk in chunks.values()})
    versions = {record.version for record in records.values()}
    hits = tuple(
        _hit(one, chunks[one.id], records[chunks[one.id].document_id], stored[one.id].dense)
        for one in ranked
        if one.id in chunks and chunks[one.id].version in versions
    )
    return hits, {chunk.version for chunk in chunks.values()} - versions


def _hit(
    ranked: Ranked,
    chunk: layout.StoredChunk,
    record: layout.StoredDocument,
    vector: "np.ndarray[tuple[int], np.dtype[np.float32]] | None",
) -> Hit:
    return Hit(
        chunk.chunk(),
        record.title,
        record.metadata,
        ranked.score,
        ranked.dense,
        ranked.sparse,
        vector,
    )


async def _delete_versions(points: Points, versions: Iterable[layout.Version]) -> None:
    ids = (id_ for one in versions for id_ in (*one.chunk_ids(), *one.part_ids()))
    for batch in _batches(ids):
        await points.delete(batch)


async def _intents(points: Points) -> AsyncIterator[tuple[str, layout.Intent]]:
    start = None
    while True:
        page, start = await points.scroll(layout.INTENTS, BATCH_POINTS, start)
        for id_, point in page.items():
            yield id_, layout.read_intent(point.payload)
        if start is None:
            return


def _batches(items: Iterable[T]) -> Iterable[list[T]]:
    iterator = iter(items)
    while batch := list(islice(iterator, BATCH_POINTS)):
        yield batch


def _what_happens(new: NewDocument, records: dict[str, layout.StoredDocument]) -> Written:
    record = records.get(new.document.id)
    if record is None:
        return "created"
    return "unchanged" if record.content_hash == new.content_hash else "replaced"


def _but(wanted: Condition, versions: set[str]) -> Condition:
    if not versions:
        return wanted
    return AllOf((wanted, Not(Match("version", tuple(sorted(versions))))))


def _check_embedding(name: str, stored: Embedding, given: Embedding) -> None:
    if given != stored:
        raise EmbeddingMismatchError(
            f"Collection {name!r} holds vectors of {stored.model!r} with {stored.dimension} "
            f"dimensions, not of {given.model!r} with {given.dimension}: embed it again with "
            f"`llm-api rag reindex`."
        )


def _check_collection_name(name: str) -> None:
    if (
        not (name.isascii() and name.replace("-", "_").replace("_", "a").isalnum())
        or len(name) > 64
    ):
        raise InvalidRequestError(
            "A collection's name has 1 to 64 letters, digits, '-' and '_'.", param="collection"
        )


def _check_documents(documents: Sequence[NewDocument]) -> None:
    ids = [new.document.id for new in documents]
    if len(set(ids)) < len(ids):
        raise InvalidRequestError("A document's id is given twice.", param="id")
    for new in documents:
        if not 1 <= len(new.document.id) <= MAX_ID:
            raise InvalidRequestError(f"A document's id has 1 to {MAX_ID} characters.", param="id")
        check_metadata(new.document.metadata)


def _check_cursor(cursor: str | None) -> str | None:
    try:
        return None if cursor is None else str(UUID(cursor))
    except ValueError:
        message = "This cursor is none that a page of documents gave."
        raise InvalidRequestError(message, param="cursor") from None
