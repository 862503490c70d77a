"""What a report makes of records and notes."""

from collections.abc import Mapping
from dataclasses import replace

import pytest

from llm_api.core.rag import collection_report
from llm_api.core.rag.collection_report import (
    CollectionReport,
    Counting,
    Known,
    ReportOptions,
    gather_known,
    origin_of,
)
from llm_api.core.rag.ingest import each
from llm_api.core.rag.jobs import Job
from llm_api.core.rag.sources import SyncNote
from llm_api.core.rag.types import MetadataValue
from llm_api.core.rag.vector_store import Collection, DocumentRecord, EmbeddingModel
from llm_api.core.state.records import SourceFailure

NOW = 10_000_000.0
COLLECTION = Collection("c", EmbeddingModel("m", 4), 0, 0)


def record(id: str, at: float = 0.0, **metadata: MetadataValue) -> DocumentRecord:
    return DocumentRecord(id, "", metadata, "hash", characters=100, chunks=2, stored_at=at)


async def counted(
    *records: DocumentRecord, known: Known | None = None, options: ReportOptions | None = None
) -> CollectionReport:
    counting = Counting(known or Known(), options or ReportOptions(), NOW)
    return await counting.counted(COLLECTION, each(records))


@pytest.mark.parametrize(
    ("id", "metadata", "origin"),
    [
        ("docs/a.md", {"source_root": "docs@1", "sha256": "d"}, ("folder", "docs")),
        ("repo/a.md", {"source_root": "repo@1", "git_commit": "c"}, ("git", "repo")),
        (
            "https://a.org/x",
            {"url": "https://a.org/x", "fetched_at": "2024-01-01"},
            ("url", "a.org"),
        ),
        ("file-1", {"filename": "a.md"}, ("file", "")),
        ("a.md", {"sha256": "d"}, ("upload", "")),
        ("x", {"url": "https://a.org/x"}, ("text", "")),
    ],
)
def test_origin_is_what_the_metadata_tells(
    id: str, metadata: Mapping[str, MetadataValue], origin: tuple[str, str]
) -> None:
    assert origin_of(replace(record(id), metadata=metadata)) == origin


async def test_documents_are_counted_by_source_and_by_kind() -> None:
    found = await counted(
        record("docs/a.md", 5, source_root="docs@1", kind="markdown"),
        record("docs/b.md", 9, source_root="docs@1", kind="markdown"),
        record("x"),
        known=Known(syncs={"docs": 7.0}),
    )
    assert (found.total.documents, found.total.chunks, found.total.characters) == (3, 6, 300)
    docs, text = found.sources
    assert (docs.origin, docs.name, docs.amount.documents, docs.amount.newest) == (
        "folder",
        "docs",
        2,
        9,
    )
    assert (docs.synced_at, text.origin, text.synced_at) == (7.0, "text", None)
    assert {kind: one.documents for kind, one in found.kinds.items()} == {"markdown": 2, "text": 1}


async def test_what_failed_and_was_not_stored_since_is_named() -> None:
    job = Job("job_1", "c", 3, 50.0, failures={"b": "In a job.", "d": "In a job."})
    failures = {
        id: SourceFailure(id, "digest", "It is broken.", 100.0) for id in ("a", "b", "stored")
    }
    known = gather_known(failures, [job], [])
    found = await counted(record("stored", 101.0), record("a", 99.0), known=known)
    assert [(one.document_id, one.reason) for one in found.failed] == [
        ("b", "It is broken."),
        ("a", "It is broken."),
        ("d", "In a job."),
    ]
    assert found.failed_count == 3


async def test_what_is_older_than_its_source_is_stale() -> None:
    note = SyncNote(4, True, {"docs/a": "new", "docs/b": "new", "docs/no": "x"}, ["docs/c"])
    known = gather_known({}, [], [("docs", 50.0, note)])
    found = await counted(
        record("docs/a", 1, sha256="old"),
        record("docs/b", 60, sha256="new"),
        record("docs/c", 1, sha256="d"),
        record("https://a.org/1", url="https://a.org/1", fetched_at="1970-01-02T00:00:00+00:00"),
        record("https://a.org/2", url="https://a.org/2", fetched_at="1970-04-20T00:00:00+00:00"),
        record("broken", fetched_at="no date"),
        known=known,
    )
    assert [one.document_id for one in found.stale] == ["docs/a", "docs/c", "https://a.org/1"]
    short = await counted(
        record("docs/a", 1), record("docs/c", 1), known=known, options=ReportOptions(limit=1)
    )
    assert (len(short.stale), short.stale_count) == (1, 2)


async def test_report_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(collection_report, "MAX_GROUPS", 2)
    monkeypatch.setattr(collection_report, "MAX_DOCUMENTS", 4)
    many = [record(f"{n}/x", source_root="r", kind=f"k{n}") for n in range(6)]
    found = await counted(*many)
    assert found.is_partial
    assert [(one.name, one.amount.documents) for one in found.sources] == [
        ("other", 2),
        ("0", 1),
        ("1", 1),
    ]
    assert sum(one.documents for one in found.kinds.values()) == 4
