"""What is valid among the points of a collection: records, contents, chunks of a ranking."""

import logging
from collections.abc import Iterable, Mapping, Sequence

from llm_api.core.errors import DocumentNotFoundError, VectorStoreError
from llm_api.core.rag.stores import layout
from llm_api.core.rag.stores.points import AllOf, Condition, Match, Not, Points, StoredPoint
from llm_api.core.rag.stores.ranking import Question, Ranked, rank
from llm_api.core.rag.types import Document
from llm_api.core.rag.vector_store import Hit, TunedSearch

log = logging.getLogger(__name__)

MAX_ATTEMPTS = 20
"""At something that others replace at the same time, again and again."""


async def read_tuning(points: Points) -> TunedSearch | None:
    """How the collection is searched by default; that of another version is not understood."""
    point = (await points.retrieve([layout.TUNING_ID])).get(layout.TUNING_ID)
    try:
        return None if point is None else layout.read_tuning(point.payload)
    except (ValueError, KeyError):
        log.warning("what a collection was tuned to cannot be read: run the evals again")
        return None


async def read_records(points: Points, ids: Iterable[str]) -> dict[str, layout.StoredDocument]:
    """Records by document id, of those that are there."""
    stored = await points.retrieve([layout.record_id(id_) for id_ in ids])
    records = (layout.read_document(point.payload) for point in stored.values())
    return {record.document_id: record for record in records}


async def read_record(points: Points, document_id: str) -> layout.StoredDocument:
    """Raises DocumentNotFoundError."""
    records = await read_records(points, [document_id])
    if document_id not in records:
        raise DocumentNotFoundError(f"There is no document {document_id!r}.")
    return records[document_id]


async def read_document(points: Points, document_id: str) -> Document:
    """A document with its text. Raises DocumentNotFoundError."""
    for _ in range(MAX_ATTEMPTS):
        record = await read_record(points, document_id)
        ids = record.written().part_ids()
        parts = await points.retrieve(ids)
        if len(parts) == len(ids):
            text, sections = layout.read_content([parts[id_].payload for id_ in ids])
            return Document(record.document_id, text, record.title, record.metadata, sections)
    raise VectorStoreError(f"Document {document_id!r} is not complete: store it again.")


async def search(
    points: Points, question: Question, where: Condition, *, with_vectors: bool
) -> tuple[Hit, ...]:
    """The best valid chunks: ranked again without the versions that turn out to be invalid.

    An invalid version may be one that is just being written: it is valid a moment later, and what
    it replaces is gone. So a ranking without it counts only if its document did not change from
    the moment when it was found invalid until the chunks were read.
    """
    documents: dict[str, str] = {}  # document ids of the versions that were invalid once
    records: dict[str, layout.StoredDocument] = {}
    hits: tuple[Hit, ...] = ()
    for _ in range(MAX_ATTEMPTS):
        invalid = documents.keys() - {record.version for record in records.values()}
        ranked = await rank(points, question, _but(where, invalid))
        stored = await points.retrieve([one.id for one in ranked], with_vectors=with_vectors)
        chunks = {id_: layout.read_chunk(point.payload) for id_, point in stored.items()}
        asked = {chunk.document_id for chunk in chunks.values()} | set(documents.values())
        before, records = records, await read_records(points, asked)
        hits = _valid(ranked, stored, chunks, records)
        changed = [id_ for id_ in documents.values() if before.get(id_) != records.get(id_)]
        if len(hits) == len(ranked) and not changed:
            break
        valid = {record.version for record in records.values()}
        documents |= {
            chunk.version: chunk.document_id
            for chunk in chunks.values()
            if chunk.version not in valid
        }
    return hits


def _valid(
    ranked: Sequence[Ranked],
    stored: Mapping[str, StoredPoint],
    chunks: Mapping[str, layout.StoredChunk],
    records: Mapping[str, layout.StoredDocument],
) -> tuple[Hit, ...]:
    """Those of `ranked` that are there, and of the version that their document's record names."""
    versions = {record.version: record for record in records.values()}
    return tuple(
        Hit(
            chunk=chunk.chunk(),
            title=record.title,
            metadata=record.metadata,
            score=one.score,
            dense_score=one.dense,
            sparse_score=one.sparse,
            vector=stored[one.id].dense,
        )
        for one in ranked
        if (chunk := chunks.get(one.id)) and (record := versions.get(chunk.version))
    )


def _but(where: Condition, versions: set[str]) -> Condition:
    if not versions:
        return where
    return AllOf((where, Not(Match("version", tuple(sorted(versions))))))
