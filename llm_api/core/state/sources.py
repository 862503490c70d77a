"""Where an owner's documents come from: files that could not be read, and what each sync saw.

Both are notes that outlive a restart, and no more: without them a file is tried once more.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar
from uuid import uuid4

from sqlalchemy import ColumnElement, delete, func, insert, select
from sqlalchemy.engine import Connection

from llm_api.core.state.records import SourceFailure, StoredSync, bytes_of
from llm_api.core.state.shared import SharedState
from llm_api.core.state.tables import source_failures, source_syncs

Item = TypeVar("Item")

MAX_FAILURES: Final = 100_000
"""Of one owner in one collection: files beyond are tried again each time."""
MAX_SYNCS: Final = 100
"""Sources of one owner in one collection that are remembered: the latest."""
BATCH: Final = 500


@dataclass(frozen=True, slots=True)
class SourceNotes:
    """Every method is about the notes of `owner` alone; for it there are no others."""

    _shared: SharedState
    owner: str

    async def failures(
        self, collection: str, ids: Sequence[str] | None = None
    ) -> Sequence[SourceFailure]:
        """The oldest first: of these documents, a few, or of all."""
        rows = source_failures
        query = select(rows.c.document_id, rows.c.digest, rows.c.reason, rows.c.failed_at)
        query = query.where(*self._failed(collection)).order_by(rows.c.failed_at)
        if ids is not None:
            query = query.where(rows.c.document_id.in_(ids))
        return await self._shared.read(
            lambda on: [SourceFailure(*row) for row in on.execute(query.limit(MAX_FAILURES))]
        )

    async def remember_failures(self, collection: str, failed: Sequence[SourceFailure]) -> None:
        """Keep these; what was known of the same documents goes."""
        values = [
            {
                "id": f"failure_{uuid4().hex}",
                "owner": self.owner,
                "collection": collection,
                "document_id": one.document_id,
                "digest": one.digest,
                "reason": one.reason,
                "failed_at": one.failed_at,
                "size": bytes_of(one.document_id, one.digest, one.reason),
            }
            for one in failed
        ]

        def work(on: Connection) -> None:
            self._forget(on, collection, [one.document_id for one in failed])
            count = select(func.count()).where(*self._failed(collection))
            room = MAX_FAILURES - on.execute(count).scalar_one()
            for batch in _batches(values[: max(room, 0)]):
                on.execute(insert(source_failures), batch)

        size = bytes_of(*(one.document_id + one.digest + one.reason for one in failed))
        await self._shared.write(work, size)

    async def forget_failures(self, collection: str, ids: Sequence[str]) -> None:
        """Have these files tried again."""
        await self._shared.write(lambda on: self._forget(on, collection, ids))

    async def syncs(self, collection: str) -> Sequence[StoredSync]:
        """What the last sync of each source saw, the latest first."""
        rows = source_syncs
        query = (
            select(rows.c.source, rows.c.synced_at, rows.c.body)
            .where(rows.c.owner == self.owner, rows.c.collection == collection)
            .order_by(rows.c.synced_at.desc())
            .limit(MAX_SYNCS)
        )
        found = await self._shared.read(lambda on: [StoredSync(*row) for row in on.execute(query)])
        return [*{one.source: one for one in reversed(found)}.values()][::-1]

    async def get_sync(self, collection: str, source: str) -> StoredSync | None:
        """What the last sync of this source saw; None before the first."""
        rows = source_syncs
        query = select(rows.c.source, rows.c.synced_at, rows.c.body)
        query = query.where(*self._synced(collection, source)).order_by(rows.c.synced_at.desc())
        row = await self._shared.read(lambda on: on.execute(query.limit(1)).first())
        return None if row is None else StoredSync(*row)

    async def save_sync(self, collection: str, sync: StoredSync) -> None:
        """In place of what was known of its source."""
        values = {
            "id": f"sync_{uuid4().hex}",
            "owner": self.owner,
            "collection": collection,
            "source": sync.source,
            "synced_at": sync.synced_at,
            "body": sync.body,
            "size": bytes_of(sync.source, sync.body),
        }

        def work(on: Connection) -> None:
            on.execute(delete(source_syncs).where(*self._synced(collection, sync.source)))
            on.execute(insert(source_syncs), values)

        await self._shared.write(work, bytes_of(sync.source, sync.body))

    def _failed(self, collection: str) -> tuple[ColumnElement[bool], ...]:
        return source_failures.c.owner == self.owner, source_failures.c.collection == collection

    def _synced(self, collection: str, source: str) -> tuple[ColumnElement[bool], ...]:
        rows = source_syncs
        return (
            rows.c.owner == self.owner,
            rows.c.collection == collection,
            rows.c.source == source,
        )

    def _forget(self, on: Connection, collection: str, ids: Sequence[str]) -> None:
        for batch in _batches(ids):
            named = source_failures.c.document_id.in_(batch)
            on.execute(delete(source_failures).where(*self._failed(collection), named))


def _batches(values: Sequence[Item]) -> Iterator[Sequence[Item]]:
    for start in range(0, len(values), BATCH):
        yield values[start : start + BATCH]
