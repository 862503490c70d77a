"""Files of vector stores: attached, looked at, detached, in batches.

    in_progress ──► completed │ failed │ cancelled

`store_file_queue` brings them in. A row says what becomes of a file; its document, once there is
one, is in the collection. Who may see the collection is asked before these rows are.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import ColumnElement, Row, delete, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection

from llm_api.core.state.records import bytes_of
from llm_api.core.state.shared import SharedState
from llm_api.core.state.store_records import FileBatch, StoreFile
from llm_api.core.state.tables import file_batches, store_files
from llm_api.core.state.vector_stores import note_active

_c = store_files.c
_FIELDS = StoreFile.__slots__


@dataclass(frozen=True, slots=True)
class StoreFileRows:
    _shared: SharedState

    async def attach(self, files: Sequence[StoreFile], batch: FileBatch | None = None) -> None:
        """Have these files of one store brought in, all or none. What was known of them goes.

        One that is under way already is brought in again, as it is said now. The store is active.
        """
        size = sum(map(_size, files))

        def work(on: Connection) -> None:
            for one in files:
                _attach(on, one)
            for id, moment in {one.store_id: one.created_at for one in files}.items():
                note_active(on, id, moment)
            if batch is not None:
                on.execute(insert(file_batches), _batch_row(batch))

        await self._shared.write(work, size)
        self._shared.store_files_changed.set()

    async def get(self, store_id: str, file_id: str) -> StoreFile | None:
        """None where nothing is known of it, or it is about to be detached."""
        return next(iter(await self.of_store(store_id, [file_id])), None)

    async def of_store(
        self, store_id: str, file_ids: Sequence[str] | None = None
    ) -> Sequence[StoreFile]:
        """All, or these of them."""
        query = select(store_files).where(_c.store_id == store_id, _is_there())
        if file_ids is not None:
            query = query.where(_c.file_id.in_(file_ids))
        return await self._shared.read(lambda on: [to_file(row) for row in on.execute(query)])

    async def unsettled(self, store_id: str) -> Sequence[StoreFile]:
        """Those that are not completed."""
        query = select(store_files).where(
            _c.store_id == store_id, _c.status != "completed", _is_there()
        )
        return await self._shared.read(lambda on: [to_file(row) for row in on.execute(query)])

    async def set_attributes(self, store_id: str, file_id: str, attributes: str) -> None:
        """Of a file that is under way, too: where it has been read, it is stored once more."""
        change = update(store_files).where(*_is(store_id, file_id)).values(attributes=attributes)
        await self._shared.write(lambda on: on.execute(change), bytes_of(attributes))

    async def detach(self, store_id: str, file_id: str) -> bool:
        """Forget a file. False where a process works on it: it is asked to let go of it first."""

        def work(on: Connection) -> bool:
            wish = update(store_files).where(*_is(store_id, file_id), _c.worker.is_not(None))
            if on.execute(wish.values(wish="detach")).rowcount:
                return False
            on.execute(delete(store_files).where(*_is(store_id, file_id)))
            return True

        is_gone = await self._shared.write(work)
        self._shared.store_files_changed.set()
        return is_gone

    async def stores_of(self, owner: str, file_id: str) -> Sequence[str]:
        """The stores into which this owner has brought the file."""
        query = select(_c.store_id).where(_c.owner == owner, _c.file_id == file_id)
        return await self._shared.read(lambda on: on.execute(query).scalars().all())

    async def batch(self, store_id: str, id: str) -> FileBatch | None:
        query = select(file_batches).where(
            file_batches.c.id == id, file_batches.c.store_id == store_id
        )
        row = await self._shared.read(lambda on: on.execute(query).first())
        if row is None:
            return None
        return FileBatch(
            row.id, row.store_id, row.created_at, json.loads(row.file_ids), row.is_cancelled
        )

    async def cancel(self, batch: FileBatch) -> None:
        """What of it waits is cancelled; what a process works on, as far as it has not begun."""

        def work(on: Connection) -> None:
            is_it = file_batches.c.id == batch.id
            on.execute(update(file_batches).where(is_it).values(is_cancelled=True))
            for some in _in_parts(batch.file_ids):
                open_ = update(store_files).where(
                    _c.store_id == batch.store_id, _c.file_id.in_(some), _c.status == "in_progress"
                )
                on.execute(open_.where(_c.attempts > 0, _c.wish.is_(None)).values(wish="cancel"))
                on.execute(open_.where(_c.attempts == 0).values(status="cancelled"))

        await self._shared.write(work)
        self._shared.store_files_changed.set()


def _attach(on: Connection, file: StoreFile) -> None:
    values = asdict(file) | {"size": _size(file)}
    same = update(store_files).where(*_is(file.store_id, file.file_id))
    # One that a process works on is left to it: it sees at the end that this was asked for later.
    begun = {"attributes": file.attributes, "chunking": file.chunking, "wish": None}
    begun_at = same.where(_c.worker.is_not(None)).values(created_at=file.created_at, **begun)
    if on.execute(begun_at).rowcount:
        return
    if not on.execute(same.values(values)).rowcount:
        # Where another process has attached it in the meantime, this is the later one.
        is_sqlite = on.dialect.name == "sqlite"
        new = (sqlite.insert if is_sqlite else postgresql.insert)(store_files).values(values)
        on.execute(new.on_conflict_do_update(index_elements=["store_id", "file_id"], set_=values))


def _is(store_id: str, file_id: str) -> tuple[ColumnElement[bool], ...]:
    return _c.store_id == store_id, _c.file_id == file_id


def _is_there() -> ColumnElement[bool]:
    return _c.wish.is_(None) | (_c.wish != "detach")


def _size(file: StoreFile) -> int:
    return bytes_of(file.store_id, file.file_id, file.filename, file.attributes, file.chunking)


def _batch_row(batch: FileBatch) -> dict[str, object]:
    ids = json.dumps(batch.file_ids)
    return asdict(batch) | {"file_ids": ids, "size": bytes_of(ids)}


def _in_parts(ids: Sequence[str], size: int = 500) -> Iterable[Sequence[str]]:
    return (ids[start : start + size] for start in range(0, len(ids), size))


def to_file(row: Row[Any]) -> StoreFile:
    return StoreFile(**{name: getattr(row, name) for name in _FIELDS})
