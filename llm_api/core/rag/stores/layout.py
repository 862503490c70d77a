"""How documents lie in a collection, the same in every engine. Pure.

Five kinds of points, told apart by `kind`; only chunks have vectors:

    document  what is known of a document, and which version of its chunks is the valid one
    content   a part of a document's text and sections as JSON: parts 0, 1, 2 ... put together
    chunk     what is found
    tuning    how the collection is searched where a request does not say: one point, or none
    intent    versions that somebody is about to write or to delete: what to clean up after a crash

A chunk is valid only if its `version` is that of its document's record. So the upsert of that one
record makes a new version visible and the old one invisible, in one step, in any engine.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from hashlib import blake2b
from uuid import UUID

from pydantic import TypeAdapter

from llm_api.core.rag.bm25 import SparseVector
from llm_api.core.rag.filters import And, Comparison, Filter, HasValue, Or, parse_date
from llm_api.core.rag.metadata import Keys, keys, path_name, presence_tag, tag
from llm_api.core.rag.stores.points import (
    AllOf,
    AnyOf,
    Condition,
    Match,
    Not,
    Payload,
    Point,
    Range,
)
from llm_api.core.rag.types import Chunk, Document, Metadata, MetadataValue, Span, TextSection
from llm_api.core.rag.vector_store import DocumentRecord, NewDocument, TunedSearch

KEYWORDS = ("kind", "document_id", "version", "tags")
"""The fields that are indexed from the start."""

DOCUMENTS = Match("kind", ("document",))
CHUNKS = Match("kind", ("chunk",))
INTENTS = Match("kind", ("intent",))

_PART_CHARACTERS = 200_000  # 32 of them, of 4 bytes each, are less than a server takes


@dataclass(frozen=True, slots=True)
class Version:
    """One writing of a document: enough to name every point of it."""

    id: str
    chunks: int
    parts: int

    def chunk_id(self, position: int) -> str:
        return _uuid("chunk", self.id, str(position))

    def part_id(self, part: int) -> str:
        return _uuid("content", self.id, str(part))

    def part_ids(self) -> list[str]:
        return [self.part_id(part) for part in range(self.parts)]

    def chunk_ids(self) -> list[str]:
        return [self.chunk_id(position) for position in range(self.chunks)]


@dataclass(frozen=True, slots=True)
class StoredDocument:
    """The payload of a `document` point, but for its kind and what it is filtered by."""

    document_id: str
    version: str
    title: str
    metadata: dict[str, MetadataValue]
    content_hash: str
    characters: int
    chunks: int
    parts: int
    stored_at: float
    lines: int = 0

    def record(self) -> DocumentRecord:
        return DocumentRecord(
            self.document_id,
            self.title,
            self.metadata,
            self.content_hash,
            self.characters,
            self.chunks,
            self.stored_at,
            self.lines,
        )

    def written(self) -> Version:
        return Version(self.version, self.chunks, self.parts)


@dataclass(frozen=True, slots=True)
class StoredChunk:
    """The payload of a `chunk` point, but for its kind and what it is filtered by."""

    document_id: str
    version: str
    id: str
    position: int
    text: str
    start: int
    end: int
    headings: tuple[str, ...]
    page: int | None

    def chunk(self) -> Chunk:
        span = Span(self.start, self.end)
        return Chunk(
            self.id, self.document_id, self.position, self.text, span, self.headings, self.page
        )


@dataclass(frozen=True, slots=True)
class Intent:
    """The payload of an `intent` point. Of `versions`, those that are not valid are to go."""

    document_id: str
    started_at: float
    versions: tuple[Version, ...]

    def point(self) -> Point:
        names = (version.id for version in self.versions)
        versions = [_fields(version) for version in self.versions]
        payload = {"kind": "intent", **_fields(self), "versions": versions}
        return Point(_uuid("intent", self.document_id, *names), payload)


_TUNING = TypeAdapter(TunedSearch)
_DOCUMENT = TypeAdapter(StoredDocument)
_CHUNK = TypeAdapter(StoredChunk)
_INTENT = TypeAdapter(Intent)
_CONTENT = TypeAdapter(tuple[str, tuple[TextSection, ...]])


def read_document(payload: Payload) -> StoredDocument:
    return _DOCUMENT.validate_python(payload)


def read_chunk(payload: Payload) -> StoredChunk:
    return _CHUNK.validate_python(payload)


def read_intent(payload: Payload) -> Intent:
    return _INTENT.validate_python(payload)


def read_tuning(payload: Payload) -> TunedSearch:
    """Raises ValueError for one of another version."""
    return _TUNING.validate_python(payload["tuned"])


def tuning_point(tuned: TunedSearch) -> Point:
    return Point(TUNING_ID, {"kind": "tuning", "tuned": asdict(tuned)})


def read_content(parts: Sequence[Payload]) -> tuple[str, tuple[TextSection, ...]]:
    """Text and sections out of the payloads of all `content` points, in their order."""
    return _CONTENT.validate_json("".join(str(payload["json"]) for payload in parts))


def record_id(document_id: str) -> str:
    """The id of a document's `document` point."""
    return _uuid("document", document_id)


def content_parts(document: Document) -> list[str]:
    content = [document.text, [asdict(section) for section in document.sections]]
    text = json.dumps(content, ensure_ascii=False)
    return [
        text[start : start + _PART_CHARACTERS] for start in range(0, len(text), _PART_CHARACTERS)
    ]


def new_version(new: NewDocument, parts: Sequence[str]) -> Version:
    """The same for the same content of the same document: a retry writes the same points."""
    name = _uuid("version", new.document.id, new.content_hash)
    return Version(name, len(new.chunks), len(parts))


def record_point(new: NewDocument, version: Version, stored_at: float) -> Point:
    stored = StoredDocument(
        document_id=new.document.id,
        version=version.id,
        title=new.document.title,
        metadata=dict(new.document.metadata),
        content_hash=new.content_hash,
        characters=len(new.document.text),
        chunks=version.chunks,
        parts=version.parts,
        stored_at=stored_at,
        lines=new.lines,
    )
    payload = {"kind": "document", **_fields(stored), **_found_by(new.document.metadata)}
    return Point(record_id(new.document.id), payload)


def content_points(new: NewDocument, version: Version, parts: Sequence[str]) -> Iterator[Point]:
    shared = {"kind": "content", "document_id": new.document.id, "version": version.id}
    for part, text in enumerate(parts):
        yield Point(version.part_id(part), {**shared, "json": text})


def chunk_points(
    new: NewDocument, version: Version, sparse: Iterable[SparseVector]
) -> Iterator[Point]:
    """One point for each chunk of a document, given their BM25 vectors."""
    shared = {
        "kind": "chunk",
        "document_id": new.document.id,
        "version": version.id,
        **_found_by(new.document.metadata),
    }
    for position, (embedded, vector) in enumerate(zip(new.chunks, sparse, strict=True)):
        chunk = embedded.chunk
        payload = {
            **shared,
            "id": chunk.id,
            "position": chunk.position,
            "text": chunk.text,
            "start": chunk.span.start,
            "end": chunk.span.end,
            "headings": list(chunk.headings),
            "page": chunk.page,
        }
        yield Point(version.chunk_id(position), payload, embedded.vector, vector)


def metadata_payload(metadata: Metadata, title: str) -> Payload:
    """What changes in every point of a document when its metadata does."""
    return {"metadata": dict(metadata), "title": title, **_found_by(metadata)}


def _found_by(metadata: Metadata) -> dict[str, object]:
    return _fields(keys(metadata))


def _fields(value: Version | StoredDocument | Intent | Keys) -> dict[str, object]:
    """Those of a dataclass by name. `asdict` copies all that is in them, in five times the time."""
    return {name: getattr(value, name) for name in value.__slots__}


def condition(wanted: Filter) -> Condition:
    """A filter on metadata as a condition on points, documents and chunks alike."""
    match wanted:
        case And(filters):
            return AllOf(tuple(condition(part) for part in filters))
        case Or(filters):
            return AnyOf(tuple(condition(part) for part in filters))
        case HasValue(field, is_present):
            return _unless(not is_present, Match("tags", (presence_tag(field),)))
        case Comparison(field, "eq" | "ne" | "in" | "nin" as operator, values):
            tags = tuple(tag(field, value) for value in values)
            return _unless(operator in ("ne", "nin"), Match("tags", tags))
        case Comparison(field, order, (str(text),)):
            return Range(f'dates."{path_name(field)}"', **{order: parse_date(text)})
        case Comparison(field, order, (value,)):
            return Range(f'numbers."{path_name(field)}"', **{order: float(value)})
        case _:
            raise ValueError(f"{wanted} is no filter that was parsed")


def _unless(is_negated: bool, match: Match) -> Condition:
    return Not(match) if is_negated else match


def _uuid(*parts: str) -> str:
    """A name that no other parts have. Each part is preceded by its length."""
    digest = blake2b(digest_size=16)
    for part in parts:
        data = part.encode("utf-8", "surrogatepass")
        digest.update(len(data).to_bytes(8, "big") + data)
    return str(UUID(bytes=digest.digest()))


TUNING_ID = _uuid("tuning")
