"""What is valid among the points of a collection: records, contents, chunks of a ranking."""

from collections.abc import Iterable, Sequence

from llm_api.core.errors import DocumentNotFoundError, VectorStoreError
from llm_api.core.rag.stores import layout
from llm_api.core.rag.stores.points import AllOf, Condition, Match, Not, Points
from llm_api.core.rag.stores.ranking import Question, Ranked, rank
from llm_api.core.rag.types import Document
from llm_api.core.rag.vector_store import Hit

MAX_ATTEMPTS = 20
"""At something that others replace at the same time, again and again."""


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
    """The best valid chunks: ranked again without the versions that turn out to be invalid."""
    invalid: set[str] = set()
    hits: tuple[Hit, ...] = ()
    for _ in range(MAX_ATTEMPTS):
        ranked = await rank(points, question, _but(where, invalid))
        hits, found_invalid = await _valid(points, ranked, with_vectors=with_vectors)
        if len(hits) == len(ranked):
            break
        invalid |= found_invalid  # none where a chunk was deleted meanwhile
    return hits


async def _valid(
    points: Points, ranked: Sequence[Ranked], *, with_vectors: bool
) -> tuple[tuple[Hit, ...], set[str]]:
    """The valid ones of `ranked` as hits, and the versions of the others."""
    stored = await points.retrieve([one.id for one in ranked], with_vectors=with_vectors)
    chunks = {id_: layout.read_chunk(point.payload) for id_, point in stored.items()}
    records = await read_records(points, {chunk.document_id for chunk in chunks.values()})
    versions = {record.version: record for record in records.values()}
    hits = tuple(
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
    return hits, {chunk.version for chunk in chunks.values()} - versions.keys()


def _but(where: Condition, versions: set[str]) -> Condition:
    if not versions:
        return where
    return AllOf((where, Not(Match("version", tuple(sorted(versions))))))
