"""What OpenAI adds to collections: names, metadata, when they expire.

They belong to no owner, as collections do. Who may see a collection is asked before these rows are.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Row, and_, delete, insert, or_, select, update
from sqlalchemy.engine import Connection

from llm_api.core.state.records import bytes_of
from llm_api.core.state.shared import SharedState
from llm_api.core.state.store_records import DAY, StoreFacts
from llm_api.core.state.tables import file_batches, store_files, vector_stores

MAX_DUE: Final = 100
_c = vector_stores.c


@dataclass(frozen=True, slots=True)
class VectorStoreRows:
    """A collection without a row has the defaults: no name, no expiry."""

    _shared: SharedState

    async def get(self, id: str) -> StoreFacts | None:
        query = select(vector_stores).where(_c.id == id)
        row = await self._shared.read(lambda on: on.execute(query).first())
        return None if row is None else _facts(row)

    async def all(self) -> Mapping[str, StoreFacts]:
        """By their ids."""
        query = select(vector_stores)
        rows = await self._shared.read(lambda on: on.execute(query).all())
        return {row.id: _facts(row) for row in rows}

    async def put(self, facts: StoreFacts) -> None:
        """Have these facts, instead of what there was."""
        values = {
            "created_at": facts.created_at,
            "last_active_at": facts.last_active_at,
            "expires_days": facts.expires_days,
            "expired_at": facts.expired_at,
            "is_emptied": False,
            "size": bytes_of(facts.id, facts.body),
            "body": facts.body,
        }

        def work(on: Connection) -> None:
            change = update(vector_stores).where(_c.id == facts.id)
            if not on.execute(change.values(values)).rowcount:
                on.execute(insert(vector_stores), {"id": facts.id, **values})

        await self._shared.write(work, bytes_of(facts.body))

    async def note_activity(self, moments: Mapping[str, float]) -> None:
        """When these were last active. One that has expired stays so."""

        def work(on: Connection) -> None:
            for id, moment in moments.items():
                note_active(on, id, moment)

        if moments:
            await self._shared.write(work)

    async def expire(self, now: float) -> Sequence[str]:
        """Have those expire whose time has come; those that have and are not emptied yet."""
        is_over = _c.last_active_at + _c.expires_days * DAY <= now
        comes = _c.expires_days.is_not(None) & _c.expired_at.is_(None) & is_over
        due = select(_c.id).where(or_(comes, and_(_c.expired_at.is_not(None), ~_c.is_emptied)))
        if not await self._shared.read(lambda on: on.execute(due.limit(1)).first()):
            return []  # without a transaction that writes

        def work(on: Connection) -> Sequence[str]:
            on.execute(update(vector_stores).where(comes).values(expired_at=now))
            return on.execute(due.limit(MAX_DUE)).scalars().all()

        return await self._shared.write(work)

    async def emptied(self, id: str) -> None:
        """Its documents are gone, and its files are forgotten."""

        def work(on: Connection) -> None:
            on.execute(update(vector_stores).where(_c.id == id).values(is_emptied=True))
            on.execute(delete(store_files).where(store_files.c.store_id == id))
            on.execute(delete(file_batches).where(file_batches.c.store_id == id))

        await self._shared.write(work)

    async def forget(self, id: str) -> None:
        """With its files and batches."""

        def work(on: Connection) -> None:
            on.execute(delete(vector_stores).where(_c.id == id))
            on.execute(delete(store_files).where(store_files.c.store_id == id))
            on.execute(delete(file_batches).where(file_batches.c.store_id == id))

        await self._shared.write(work)


def note_active(on: Connection, id: str, moment: float) -> None:
    """A store was active at that moment, unless it has expired."""
    is_later = _c.id == id, _c.last_active_at < moment, _c.expired_at.is_(None)
    on.execute(update(vector_stores).where(*is_later).values(last_active_at=moment))


def _facts(row: Row[Any]) -> StoreFacts:
    return StoreFacts(
        row.id, row.created_at, row.last_active_at, row.body, row.expires_days, row.expired_at
    )
