"""What is in a collection and where it came from; what failed, and what is older than its source.

Reads every document's record once, a page at a time, and no text.
"""

import time
from collections.abc import AsyncIterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Literal, TypeAlias
from urllib.parse import urlsplit

from llm_api.core.rag.files import COMMIT_FIELD, DIGEST_FIELD, ROOT_FIELD
from llm_api.core.rag.jobs import Job
from llm_api.core.rag.retrieval import Retrieval
from llm_api.core.rag.sources import SyncNote
from llm_api.core.rag.types import Metadata
from llm_api.core.rag.vector_store import (
    SHORT_PAGE,
    Collection,
    DocumentRecord,
    every_document,
)
from llm_api.core.rag.web.reading import FETCHED_FIELD, URL_FIELD
from llm_api.core.state.records import SourceFailure

MAX_DOCUMENTS: Final = 1_000_000
MAX_GROUPS: Final = 1_000
"""Sources that are told apart, and kinds: what comes beyond is one more, `other`."""
OTHER: Final = "other"
DEFAULT_STALE_DAYS: Final = 30.0
_DAY_SECONDS: Final = 86_400.0

Origin: TypeAlias = Literal["folder", "git", "url", "file", "upload", "text"]


@dataclass(slots=True)
class Amount:
    """How much of it there is; grows. `newest` is when the last document was stored.

    `lines` of the chunks are found by a line that places them as well.
    """

    documents: int = 0
    chunks: int = 0
    characters: int = 0
    newest: float = 0.0
    lines: int = 0

    def add(self, record: DocumentRecord) -> None:
        self.documents += 1
        self.chunks += record.chunks
        self.characters += record.characters
        self.newest = max(self.newest, record.stored_at)
        self.lines += record.lines


@dataclass(frozen=True, slots=True)
class SourceAmount:
    """A folder or repository by its name, a host; of uploads and texts there is one each.

    `synced_at` is when a client last compared it, None where none has.
    """

    origin: Origin
    name: str
    amount: Amount
    synced_at: float | None = None


@dataclass(frozen=True, slots=True)
class Named:
    """A document, or a file that is none yet, and what is to be known of it."""

    document_id: str
    reason: str
    at: float


@dataclass(frozen=True, slots=True)
class CollectionReport:
    """The largest sources and kinds first; of what failed and is stale, the first `limit`."""

    collection: Collection
    total: Amount
    sources: Sequence[SourceAmount]
    kinds: Mapping[str, Amount]
    failed: Sequence[Named]
    failed_count: int
    stale: Sequence[Named]
    stale_count: int
    is_partial: bool = False


@dataclass(frozen=True, slots=True)
class ReportOptions:
    """A page counts as stale when it was fetched so many days ago."""

    stale_days: float = DEFAULT_STALE_DAYS
    limit: int = 100


@dataclass(frozen=True, slots=True)
class Known:
    """What is known beside the documents, by document. `syncs` are times, by source."""

    failures: Mapping[str, Named] = field(default_factory=dict)
    changed: Mapping[str, tuple[str, float]] = field(default_factory=dict)
    gone: Mapping[str, float] = field(default_factory=dict)
    syncs: Mapping[str, float] = field(default_factory=dict)


async def report_on(
    retrieval: Retrieval, owner: str, collection: str, options: ReportOptions
) -> CollectionReport:
    """Failures and syncs are the owner's. Raises as `VectorStore.list_documents`."""
    described = await retrieval.store.describe_collection(collection)
    memory = retrieval.sources
    known = gather_known(
        await memory.failures(owner, collection),
        [job for job in await retrieval.jobs.all(owner) if job.collection == collection],
        await memory.syncs(owner, collection),
    )
    counting = Counting(known, options, time.time())
    return await counting.counted(
        described, every_document(retrieval.store, collection, SHORT_PAGE)
    )


def gather_known(
    failures: Mapping[str, SourceFailure],
    jobs: Sequence[Job],
    syncs: Sequence[tuple[str, float, SyncNote]],
) -> Known:
    """Pure. The later of two failures of a document counts."""
    failed = {
        id: Named(id, reason, job.created_at)
        for job in reversed(jobs)
        for id, reason in job.failures.items()
    }
    failed |= {id: Named(id, one.reason, one.failed_at) for id, one in failures.items()}
    return Known(
        failed,
        {id: (digest, at) for _, at, note in syncs for id, digest in note.changed.items()},
        {id: at for _, at, note in syncs for id in note.gone},
        {source: at for source, at, _ in syncs},
    )


class Counting:
    """One report while it is made. `now` is in Unix seconds."""

    def __init__(self, known: Known, options: ReportOptions, now: float) -> None:
        self._known = known
        self._options = options
        self._old = now - options.stale_days * _DAY_SECONDS
        self._failures = dict(known.failures)
        self._total = Amount()
        self._sources: dict[tuple[Origin, str], Amount] = {}
        self._kinds: dict[str, Amount] = {}
        self._stale: list[Named] = []
        self._stale_count = 0

    async def counted(
        self, collection: Collection, records: AsyncIterable[DocumentRecord]
    ) -> CollectionReport:
        """The report on all records, or on the first MAX_DOCUMENTS."""
        is_partial = False
        async for record in records:
            if self._total.documents == MAX_DOCUMENTS:
                is_partial = True
                break
            self.add(record)
        failed = sorted(self._failures.values(), key=lambda one: -one.at)
        return CollectionReport(
            collection,
            self._total,
            self._by_size(),
            dict(sorted(self._kinds.items(), key=lambda item: -item[1].documents)),
            failed[: self._options.limit],
            len(failed),
            self._stale,
            self._stale_count,
            is_partial,
        )

    def add(self, record: DocumentRecord) -> None:
        """Count a document, and look whether it is stale, or has been stored after it failed."""
        self._total.add(record)
        origin = origin_of(record)
        if origin not in self._sources and len(self._sources) >= MAX_GROUPS:
            origin = (origin[0], OTHER)
        self._sources.setdefault(origin, Amount()).add(record)
        kind = str(record.metadata.get("kind", "text"))
        if kind not in self._kinds and len(self._kinds) >= MAX_GROUPS:
            kind = OTHER
        self._kinds.setdefault(kind, Amount()).add(record)
        failure = self._failures.get(record.id)
        if failure is not None and record.stored_at > failure.at:
            del self._failures[record.id]
        if (stale := self._why_stale(record)) is not None:
            self._stale_count += 1
            if len(self._stale) < self._options.limit:
                self._stale.append(stale)

    def _why_stale(self, record: DocumentRecord) -> Named | None:
        id = record.id
        if (gone := self._known.gone.get(id)) is not None and record.stored_at < gone:
            return Named(id, "Its file was gone when its source was last compared.", gone)
        digest, at = self._known.changed.get(id, (None, 0.0))
        if digest is not None and record.metadata.get(DIGEST_FIELD) != digest:
            return Named(id, "Its file had changed when its source was last compared.", at)
        fetched = _fetched_at(record.metadata)
        if fetched is not None and fetched < self._old:
            reason = f"It was fetched more than {self._options.stale_days:g} days ago."
            return Named(id, reason, fetched)
        return None

    def _by_size(self) -> list[SourceAmount]:
        ordered = sorted(self._sources.items(), key=lambda item: -item[1].documents)
        return [
            SourceAmount(origin, name, amount, self._known.syncs.get(name) if name else None)
            for (origin, name), amount in ordered
        ]


def origin_of(record: DocumentRecord) -> tuple[Origin, str]:
    """Where a document came from, by what its metadata tells. Pure."""
    known = record.metadata
    if URL_FIELD in known and FETCHED_FIELD in known:
        return "url", urlsplit(str(known[URL_FIELD])).netloc
    if ROOT_FIELD in known:
        origin: Origin = "git" if COMMIT_FIELD in known else "folder"
        return origin, record.id.partition("/")[0]
    if record.id.startswith("file-") and "filename" in known:
        return "file", ""
    return ("upload" if DIGEST_FIELD in known else "text"), ""


def _fetched_at(metadata: Metadata) -> float | None:
    try:
        return datetime.fromisoformat(str(metadata[FETCHED_FIELD])).timestamp()
    except (KeyError, ValueError, OverflowError):
        return None
