"""A collection as OpenAI's clients see it: a vector store, its files, batches of them. Values."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Literal, TypeAlias

from llm_api.core.rag.chunking import ChunkSettings
from llm_api.core.rag.types import Metadata, Scalar
from llm_api.core.state.store_records import FileStatus

Attributes: TypeAlias = Mapping[str, Scalar]

FILENAME: str = "filename"
"""The metadata field of a document that was a file's name."""


@dataclass(frozen=True, slots=True)
class StoreDescription:
    """What a client says of a store. `chunks` is how it cuts files; None: as the server does."""

    name: str = ""
    description: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
    chunks: ChunkSettings | None = None

    def to_json(self) -> str:
        return json.dumps(
            {
                "name": self.name,
                "description": self.description,
                "metadata": dict(self.metadata),
                "chunks": chunks_to_json(self.chunks),
            }
        )

    @classmethod
    def from_json(cls, text: str) -> "StoreDescription":
        given = json.loads(text)
        chunks = chunks_from_json(given["chunks"])
        return cls(given["name"], given["description"], given["metadata"], chunks)


@dataclass(frozen=True, slots=True)
class StoreChange:
    """What is to be different; None stays as it is. `expires_days` holds if `sets_expiry`."""

    name: str | None = None
    metadata: Mapping[str, str] | None = None
    sets_expiry: bool = False
    expires_days: int | None = None


@dataclass(frozen=True, slots=True)
class NewStoreFile:
    """A file to attach. `chunks` None: as its store says."""

    file_id: str
    attributes: Attributes = field(default_factory=dict)
    chunks: ChunkSettings | None = None


@dataclass(frozen=True, slots=True)
class FileCounts:
    in_progress: int = 0
    completed: int = 0
    failed: int = 0
    cancelled: int = 0

    @property
    def total(self) -> int:
        return self.in_progress + self.completed + self.failed + self.cancelled


@dataclass(frozen=True, slots=True)
class StoreView:
    """`created_at` and `last_active_at` are None for a collection that nobody has named here.

    `usage_bytes` is what the vectors take. Times are in Unix seconds.
    """

    id: str
    told: StoreDescription
    created_at: float | None
    last_active_at: float | None
    expires_days: int | None
    expires_at: float | None
    is_expired: bool
    counts: FileCounts
    usage_bytes: int


@dataclass(frozen=True, slots=True)
class StoreFileView:
    """`chunks` is how it was cut, None where nobody knows any more. `error` is why it failed."""

    id: str
    store_id: str
    filename: str
    status: FileStatus
    created_at: float
    usage_bytes: int
    attributes: Attributes
    chunks: ChunkSettings | None
    error_code: str = ""
    error: str = ""


BatchStatus: TypeAlias = Literal["in_progress", "completed", "cancelled"]


@dataclass(frozen=True, slots=True)
class BatchView:
    """`counts` are of the files that are still attached."""

    id: str
    store_id: str
    created_at: float
    status: BatchStatus
    counts: FileCounts


def chunks_to_json(chunks: ChunkSettings | None) -> str:
    """Empty for None. Pure."""
    return "" if chunks is None else json.dumps(asdict(chunks))


def chunks_from_json(text: str) -> ChunkSettings | None:
    return ChunkSettings(**json.loads(text)) if text else None


def document_metadata(filename: str, attributes: Attributes) -> Metadata:
    """The metadata of an attached file's document. Pure."""
    return {FILENAME: filename, **attributes}


def attributes_of(metadata: Metadata, title: str) -> Attributes:
    """A document's metadata as attributes: no lists, and not the name of its file. Pure."""
    return {
        name: value
        for name, value in metadata.items()
        if isinstance(value, str | int | float) and (name, value) != (FILENAME, title)
    }


def filename_of(metadata: Metadata, title: str, document_id: str) -> str:
    """What to call a document that may never have been a file. Pure."""
    named = metadata.get(FILENAME)
    return title or (named if isinstance(named, str) else "") or document_id


def changed_attributes(metadata: Metadata, title: str, attributes: Attributes) -> Metadata:
    """The metadata with other attributes; what is none stays. Pure."""
    shown = attributes_of(metadata, title)
    return {name: one for name, one in metadata.items() if name not in shown} | dict(attributes)


def counted(statuses: Sequence[FileStatus]) -> FileCounts:
    return FileCounts(*(statuses.count(one) for one in _ORDER))


_ORDER: tuple[FileStatus, ...] = ("in_progress", "completed", "failed", "cancelled")
