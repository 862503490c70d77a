"""Files of all vector stores that wait to be brought in, for the processes that do it.

A process that is taken for dead loses its files to another: what it says of them then does nothing.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Final

from sqlalchemy import ColumnElement, delete, select, update
from sqlalchemy.engine import Connection

from llm_api.core.state.job_queue import MAX_ATTEMPTS
from llm_api.core.state.shared import SharedState
from llm_api.core.state.store_files import to_file
from llm_api.core.state.store_records import FileEnd, FileOutcome, StoreFile, Wish
from llm_api.core.state.tables import store_files

GROUP: Final = 64
"""Files that are claimed at once: they are embedded together."""
GROUP_BYTES: Final = 1024 * 1024
"""Of them together, but for the first: a larger one comes alone."""
_c = store_files.c


@dataclass(frozen=True, slots=True)
class StoreFileQueue:
    _shared: SharedState

    async def changed(self, seconds: float) -> None:
        """Return when something was asked of files in this process, or after that time."""
        try:
            async with asyncio.timeout(seconds):
                await self._shared.store_files_changed.wait()
        except TimeoutError:
            pass
        self._shared.store_files_changed.clear()

    async def claim(self) -> Sequence[StoreFile]:
        """The files that have waited longest, of one store and owner, cut in one way; now begun.

        One that was begun before comes alone: it may be what ended that process.
        """
        is_lost = _c.worker == self._shared.worker
        waiting = (_c.status == "in_progress") & (_c.worker.is_(None) | is_lost)
        oldest = select(store_files).where(waiting).order_by(_c.created_at, _c.file_id)
        if await self._shared.read(lambda on: on.execute(oldest.limit(1)).first()) is None:
            return []  # without a transaction that writes

        def work(on: Connection) -> Sequence[StoreFile]:
            first = on.execute(oldest.limit(1).with_for_update(skip_locked=True)).first()
            if first is None:
                return []
            alike = oldest.where(
                _c.store_id == first.store_id,
                _c.owner == first.owner,
                _c.chunking == first.chunking,
                _c.attempts == 0,
            )
            rows = on.execute(alike.limit(GROUP).with_for_update(skip_locked=True)).all()
            group = [to_file(first)] if first.attempts else _small([to_file(row) for row in rows])
            claimed = {"worker": self._shared.worker, "attempts": _c.attempts + 1}
            on.execute(
                update(store_files)
                .where(
                    _c.store_id == first.store_id, _c.file_id.in_([one.file_id for one in group])
                )
                .values(claimed)
            )
            return group

        return await self._shared.write(work)

    async def wishes(self, store_id: str, ids: Sequence[str]) -> Mapping[str, Wish | None]:
        """What is wished of those that are still this process's."""
        query = select(_c.file_id, _c.wish).where(*self._mine(store_id, ids))
        rows = await self._shared.read(lambda on: on.execute(query).all())
        return {row.file_id: row.wish for row in rows}

    async def end(
        self, file: StoreFile, status: FileEnd, code: str = "", error: str = "", *, is_there: bool
    ) -> FileOutcome:
        """What became of a file; whether its document `is_there`.

        It waits again where something else was asked of it meanwhile. Nothing is
        stored where it is `unwanted`, to be detached or forgotten by now, or `lost`, another
        process's.
        """
        mine = self._mine(file.store_id, [file.file_id])
        known = select(_c.file_id).where(_c.store_id == file.store_id, _c.file_id == file.file_id)

        def work(on: Connection) -> FileOutcome:
            row = on.execute(select(store_files).where(*mine)).first()
            if row is None:
                return "unwanted" if on.execute(known).first() is None else "lost"
            if row.wish == "detach":
                return "unwanted"
            said = {"status": status, "error_code": code, "error": error, "existed": is_there}
            asked = row.created_at, row.attributes, row.chunking
            is_stale = asked != (file.created_at, file.attributes, file.chunking)
            again = {"attempts": 0, "existed": is_there}
            values = again if is_stale and status == "completed" else said
            change = update(store_files).where(*mine)
            on.execute(change.values({"worker": None, "wish": None, **values}))
            return "ended"

        return await self._shared.write(work, len(error))

    async def forget(self, store_id: str, file_id: str) -> None:
        """One that was to be detached."""
        gone = delete(store_files).where(*self._mine(store_id, [file_id]))
        await self._shared.write(lambda on: on.execute(gone))

    async def release(self, store_id: str, ids: Sequence[str]) -> None:
        """Leave the files to who claims them next: this process is stopping."""
        change = update(store_files).where(*self._mine(store_id, ids))
        await self._shared.write(lambda on: on.execute(change.values(worker=None)))

    def _mine(self, store_id: str, ids: Sequence[str]) -> tuple[ColumnElement[bool], ...]:
        return (
            _c.store_id == store_id,
            _c.file_id.in_(ids),
            _c.worker == self._shared.worker,
            _c.status == "in_progress",
        )


def _small(files: Sequence[StoreFile]) -> list[StoreFile]:
    """As many as are small together; the first in any case."""
    sizes = accumulate(one.bytes for one in files)
    small = [one for one, size in zip(files, sizes, strict=True) if size <= GROUP_BYTES]
    return small or [files[0]]


def take_files_from_dead(on: Connection, dead: Sequence[str]) -> int:
    """Have the files wait again that these processes worked on, or fail. How many there were."""
    lost: ColumnElement[bool] = _c.worker.in_(dead)
    error = f"The server ended {MAX_ATTEMPTS} times while it was brought in."
    failed = update(store_files).where(lost, _c.attempts >= MAX_ATTEMPTS)
    values = {"status": "failed", "error_code": "server_error", "error": error, "existed": True}
    ended = on.execute(failed.values({**values, "worker": None, "wish": None})).rowcount
    return ended + on.execute(update(store_files).where(lost).values(worker=None)).rowcount
