"""The tables, as the newest migration leaves them. `tests` compare the two.

Every row of a caller has its owner, or hangs on a row that has one (its foreign key). `size` counts
the bytes of all texts of a row and of what hangs on it.
"""

from typing import Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    text,
)

METADATA: Final = MetaData()

workers: Final = Table(
    "workers",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("seen_at", Float, nullable=False),
)

responses: Final = Table(
    "responses",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("owner", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("created_at", Float, nullable=False),
    Column("ended_at", Float),
    Column("previous_id", Text),
    Column("conversation_id", Text),
    Column("conversation_length", Integer, nullable=False),  # when the response began
    Column("is_background", Boolean, nullable=False),
    Column("is_lost", Boolean, nullable=False),
    Column("last_event", Integer),  # none where there are none, or none any more
    Column("wants_cancel", Boolean, nullable=False),
    Column("worker", Text),  # that makes it; none when it has ended
    Column("size", BigInteger, nullable=False),
    Column("body", Text, nullable=False),
    Column(
        "thread_id", Text
    ),  # of the first response, where this is another beginning of its thread
)
Index("responses_by_end", responses.c.ended_at, responses.c.size)
_unfinished = text("worker IS NOT NULL")
Index(
    "responses_unfinished",
    responses.c.worker,
    responses.c.owner,
    sqlite_where=_unfinished,
    postgresql_where=_unfinished,
)

response_items: Final = Table(
    "response_items",
    METADATA,
    Column("response_id", ForeignKey("responses.id", ondelete="CASCADE"), primary_key=True),
    Column("position", Integer, primary_key=True),
    Column("is_output", Boolean, nullable=False),
    Column("id", Text, nullable=False),
    Column("body", Text, nullable=False),
)
Index("response_items_by_id", response_items.c.id)

response_events: Final = Table(
    "response_events",
    METADATA,
    Column("response_id", ForeignKey("responses.id", ondelete="CASCADE"), primary_key=True),
    Column("sequence_number", Integer, primary_key=True),
    Column("body", Text, nullable=False),
)

conversations: Final = Table(
    "conversations",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("owner", Text, nullable=False),
    Column("created_at", Float, nullable=False),
    Column("length", Integer, nullable=False),  # the position of the next item
    Column("size", BigInteger, nullable=False),
    Column("metadata", Text, nullable=False),
)
Index("conversations_by_size", conversations.c.size)

conversation_items: Final = Table(
    "conversation_items",
    METADATA,
    Column("conversation_id", ForeignKey("conversations.id", ondelete="CASCADE"), primary_key=True),
    Column("position", Integer, primary_key=True),
    Column("id", Text, nullable=False),
    Column("body", Text, nullable=False),
    UniqueConstraint("conversation_id", "id", name="conversation_items_by_id"),
)

jobs: Final = Table(
    "jobs",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("owner", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("details", Text, nullable=False),
    Column("total", Integer, nullable=False),
    Column("done", Integer, nullable=False),
    Column("error", Text, nullable=False),
    Column("created_at", Float, nullable=False),
    Column("started_at", Float),
    Column("ended_at", Float),
    Column("worker", Text),  # that takes its inputs in, or runs it
    Column("attempts", Integer, nullable=False),
    Column("wants_cancel", Boolean, nullable=False),
    Column("size", BigInteger, nullable=False),
)
Index("jobs_by_state", jobs.c.state, jobs.c.kind, jobs.c.created_at)

job_inputs: Final = Table(
    "job_inputs",
    METADATA,
    Column("job_id", ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True),
    Column("position", Integer, primary_key=True),
    Column("id", Text, nullable=False),
    Column("details", Text, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("is_done", Boolean, nullable=False),
    Column("remark", Text),
)

job_parts: Final = Table(
    "job_parts",
    METADATA,
    Column("job_id", ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True),
    Column("position", Integer, primary_key=True),
    Column("part", Integer, primary_key=True),
    Column("body", LargeBinary, nullable=False),
)

source_failures: Final = Table(
    "source_failures",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("owner", Text, nullable=False),
    Column("collection", Text, nullable=False),
    Column("document_id", Text, nullable=False),
    Column("digest", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("failed_at", Float, nullable=False),
    Column("size", BigInteger, nullable=False),
)
Index(
    "source_failures_by_document",
    source_failures.c.owner,
    source_failures.c.collection,
    source_failures.c.document_id,
)

source_syncs: Final = Table(
    "source_syncs",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("owner", Text, nullable=False),
    Column("collection", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("synced_at", Float, nullable=False),
    Column("body", Text, nullable=False),
    Column("size", BigInteger, nullable=False),
)
Index(
    "source_syncs_by_source",
    source_syncs.c.owner,
    source_syncs.c.collection,
    source_syncs.c.source,
)

blobs: Final = Table(
    "blobs",
    METADATA,
    Column("key", Text, primary_key=True),
    Column("sha256", Text, nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("state", Text, nullable=False),
    Column("names", Integer, nullable=False),  # rows of files and of parts that name it
    Column("changed_at", Float, nullable=False),
)
Index("blobs_by_content", blobs.c.sha256)
Index("blobs_by_state", blobs.c.state, blobs.c.changed_at)

files: Final = Table(
    "files",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("owner", Text, nullable=False),
    Column("filename", Text, nullable=False),
    Column("content_type", Text, nullable=False),
    Column("purpose", Text, nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("created_at", Float, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("expires_at", Float),
    Column("sha256", Text, nullable=False),
    Column("key", ForeignKey("blobs.key"), nullable=False),
)
Index("files_by_owner", files.c.owner, files.c.created_at, files.c.id)
Index("files_by_end", files.c.expires_at)

uploads: Final = Table(
    "uploads",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("owner", Text, nullable=False),
    Column("filename", Text, nullable=False),
    Column("content_type", Text, nullable=False),
    Column("purpose", Text, nullable=False),
    Column("bytes", BigInteger, nullable=False),  # of the whole, as it was announced
    Column("created_at", Float, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("expires_at", Float, nullable=False),
    Column("file_seconds", Integer),
    Column("status", Text, nullable=False),
    Column("file_id", Text),
)
Index("uploads_by_owner", uploads.c.owner)
Index("uploads_by_end", uploads.c.expires_at)

upload_parts: Final = Table(
    "upload_parts",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("upload_id", ForeignKey("uploads.id", ondelete="CASCADE"), nullable=False),
    Column("created_at", Float, nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("key", ForeignKey("blobs.key"), nullable=False),
)
Index("upload_parts_by_upload", upload_parts.c.upload_id)

vector_stores: Final = Table(
    "vector_stores",
    METADATA,
    Column("id", Text, primary_key=True),  # the name of the collection
    Column("created_at", Float, nullable=False),
    Column("last_active_at", Float, nullable=False),
    Column("expires_days", Integer),
    Column("expired_at", Float),
    Column("is_emptied", Boolean, nullable=False),  # of its documents, once it has expired
    Column("size", BigInteger, nullable=False),
    Column("body", Text, nullable=False),
)

store_files: Final = Table(
    "store_files",
    METADATA,
    Column("store_id", Text, primary_key=True),  # of a collection, which need not have a row above
    Column("file_id", Text, primary_key=True),
    Column("owner", Text, nullable=False),  # whose file it is, and whose tokens are counted
    Column("created_at", Float, nullable=False),
    Column("filename", Text, nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("attributes", Text, nullable=False),
    Column("chunking", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("error_code", Text, nullable=False),
    Column("error", Text, nullable=False),
    Column("existed", Boolean, nullable=False),
    Column("wish", Text),
    Column("attempts", Integer, nullable=False),
    Column("worker", Text),  # that brings it in
    Column("size", BigInteger, nullable=False),
)
Index("store_files_by_file", store_files.c.file_id)
_waits = text("status = 'in_progress'")
Index(
    "store_files_waiting",
    store_files.c.created_at,
    store_files.c.worker,
    sqlite_where=_waits,
    postgresql_where=_waits,
)

file_batches: Final = Table(
    "file_batches",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("store_id", Text, nullable=False),
    Column("created_at", Float, nullable=False),
    Column("file_ids", Text, nullable=False),
    Column("is_cancelled", Boolean, nullable=False),
    Column("size", BigInteger, nullable=False),
)

usage_days: Final = Table(
    "usage_days",
    METADATA,
    Column("id", Text, primary_key=True),  # of what the row counts: day, owner, kind, model
    Column("day", Text, nullable=False),  # of UTC, as 2026-01-31
    Column("owner", Text, nullable=False),
    Column("model", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("requests", BigInteger, nullable=False),
    Column("prompt_tokens", BigInteger, nullable=False),
    Column("completion_tokens", BigInteger, nullable=False),
    Column("cached_tokens", BigInteger, nullable=False),
    Column("size", BigInteger, nullable=False),
)
Index("usage_days_by_day", usage_days.c.day, usage_days.c.owner)
