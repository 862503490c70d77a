"""How documents are written and deleted, and what is cleaned up where that was interrupted.

A write may end anywhere, by a crash of this process, of the engine, or of the machine. The engine
applies and keeps every step whole, in this order:

    1. intents: the versions about to be written, and those they replace
    2. content and chunks of the new versions, which nothing refers to yet
    3. the records: each makes the new version of its document valid, the old one invalid
    4. the replaced versions deleted, then the intents

A deletion is the same without 2, its step 3 deletes the records. The intents name what a crash
leaves lying, so that it can be found and deleted.

Several processes may share an engine. Two that write the same document at the same moment leave one
of both versions, whole; chunks of the other may stay, invisible, until the collection is rebuilt.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TypeVar

from llm_api.core.rag.bm25 import Bm25
from llm_api.core.rag.stores import layout
from llm_api.core.rag.stores.points import Point, Points
from llm_api.core.rag.stores.reading import read_records
from llm_api.core.rag.vector_store import NewDocument

log = logging.getLogger(__name__)

BATCH_POINTS = 256

T = TypeVar("T")


@dataclass(frozen=True, slots=True, eq=False)
class Write:
    """A document on its way in. `old` is what it replaces."""

    new: NewDocument
    parts: Sequence[str]
    version: layout.Version
    old: layout.Version | None
    started_at: float

    def intent(self) -> Point:
        versions = (self.version,) if self.old is None else (self.version, self.old)
        return layout.Intent(self.new.document.id, self.started_at, versions).point()

    def points(self, bm25: Bm25) -> Iterator[Point]:
        """Content and chunks, computed while they are iterated over."""
        sparse = (bm25.document(one.words) for one in self.new.chunks)
        yield from layout.content_points(self.new, self.version, self.parts)
        yield from layout.chunk_points(self.new, self.version, sparse)

    def record(self) -> Point:
        return layout.record_point(self.new, self.version, self.started_at)


def plan_write(new: NewDocument, replaced: layout.StoredDocument | None, now: float) -> Write:
    parts = layout.content_parts(new.document)
    old = None if replaced is None else replaced.written()
    return Write(new, parts, layout.new_version(new, parts), old, now)


def plan_writes(
    documents: Iterable[NewDocument], records: Mapping[str, layout.StoredDocument], now: float
) -> list[Write]:
    """`records` are those of before, by document id."""
    return [plan_write(new, records.get(new.document.id), now) for new in documents]


async def carry_out(points: Points, writes: Sequence[Write], bm25: Bm25) -> None:
    """Write documents. The numbers are those above."""
    intents = [write.intent() for write in writes]
    await points.upsert(intents)  # 1
    content = (point for write in writes for point in write.points(bm25))
    while batch := await asyncio.to_thread(list, islice(content, BATCH_POINTS)):
        await points.upsert(batch)  # 2
    await points.upsert([write.record() for write in writes])  # 3
    await _delete_versions(points, (write.old for write in writes if write.old))  # 4
    await points.delete([intent.id for intent in intents])
    await points.flush()


async def delete(points: Points, records: Mapping[str, layout.StoredDocument], now: float) -> None:
    """Delete the documents of these records."""
    if not records:
        return
    versions = [record.written() for record in records.values()]
    intents = [
        layout.Intent(id_, now, (version,)).point()
        for id_, version in zip(records, versions, strict=True)
    ]
    await points.upsert(intents)
    await points.delete([layout.record_id(id_) for id_ in records])
    await _delete_versions(points, versions)
    await points.delete([intent.id for intent in intents])
    await points.flush()


async def clean_up(points: Points, latest: float) -> None:
    """Delete what writes left that began at `latest` or before, and have not ended."""
    async for intent_id, intent in _intents(points):
        if intent.started_at > latest:
            continue
        log.info("cleaning up after an unfinished write of document %r", intent.document_id)
        record = (await read_records(points, [intent.document_id])).get(intent.document_id)
        valid = None if record is None else record.version
        await _delete_versions(points, (one for one in intent.versions if one.id != valid))
        await points.delete([intent_id])
        await points.flush()


async def _intents(points: Points) -> AsyncIterator[tuple[str, layout.Intent]]:
    start = None
    while True:
        page, start = await points.scroll(layout.INTENTS, BATCH_POINTS, start)
        for id_, point in page.items():
            yield id_, layout.read_intent(point.payload)
        if start is None:
            return


async def _delete_versions(points: Points, versions: Iterable[layout.Version]) -> None:
    ids = (id_ for one in versions for id_ in (*one.chunk_ids(), *one.part_ids()))
    for batch in _batches(ids):
        await points.delete(batch)


def _batches(items: Iterable[T]) -> Iterable[list[T]]:
    iterator = iter(items)
    while batch := list(islice(iterator, BATCH_POINTS)):
        yield batch
