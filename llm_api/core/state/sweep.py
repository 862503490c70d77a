"""What nobody asks for and has to be done: what dead processes left ends, what is old goes.

Each process does it, in small transactions; that two do the same at once harms nothing.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from itertools import accumulate
from typing import Final, TypeAlias

from sqlalchemy import Select, delete, func, select, union, update
from sqlalchemy.engine import Connection

from llm_api.core.errors import LLMAPIError
from llm_api.core.state.blobs import ARRIVING_SECONDS as BLOB_SECONDS
from llm_api.core.state.blobs import abandon
from llm_api.core.state.files import delete_files
from llm_api.core.state.job_queue import take_from_dead
from llm_api.core.state.jobs import ARRIVING
from llm_api.core.state.liveness import Liveness
from llm_api.core.state.shared import SharedState
from llm_api.core.state.store_file_queue import take_files_from_dead
from llm_api.core.state.tables import (
    conversations,
    file_batches,
    files,
    jobs,
    response_events,
    responses,
    source_failures,
    source_syncs,
    store_files,
    uploads,
    usage_days,
    vector_stores,
)
from llm_api.core.state.uploads import delete_uploads

log = logging.getLogger(__name__)

DEAD_SECONDS: Final = 2.0
"""Between two looks for dead processes."""
OLD_SECONDS: Final = 30.0
"""Between two looks for what is too old, or too much."""
SHORT_SECONDS: Final = 1.0
"""At least between two looks for room."""
EVENTS_KEPT_SECONDS: Final = 3600.0
"""How long a stream can be taken up after its response has ended."""
JOBS_KEPT_SECONDS: Final = 7 * 86_400.0
"""How long an ended job can be asked for, and a batch of files."""
NOTES_KEPT_SECONDS: Final = 90 * 86_400.0
"""How long it is known that a file could not be read, and what a sync saw."""
ARRIVING_SECONDS: Final = 3600.0
"""After which nobody waits any more for the rest of a job's inputs."""
BATCH: Final = 200
FULL_SHARE, ROOMY_SHARE = 0.9, 0.8
"""Of the room: beyond the one, the oldest responses go until no more than the other is taken."""
STORED: Final = (
    responses,
    conversations,
    jobs,
    source_failures,
    source_syncs,
    files,
    uploads,
    vector_stores,
    store_files,
    file_batches,
    usage_days,
)
"""The tables whose rows know their size."""
_DAY_SECONDS: Final = 86_400.0

Change: TypeAlias = Callable[[Connection, Sequence[str]], None]
"""What is done to the rows of these ids."""


@dataclass(frozen=True, slots=True)
class Sweeper:
    """`days` is how long a response is kept, `usage_days` what a key has used."""

    shared: SharedState
    liveness: Liveness
    days: int
    usage_days: int

    async def end_lost(self) -> None:
        """Fail the responses that dead processes were making; let others run their jobs."""
        working = union(
            *(
                select(table.c.worker).where(table.c.worker.is_not(None))
                for table in (responses, jobs, store_files)
            )
        )
        workers = await self.shared.read(lambda on: set(on.execute(working).scalars()))
        dead = await self.liveness.dead(workers - {self.shared.worker})
        if not dead:
            return
        lost = update(responses).where(responses.c.worker.in_(dead))
        values = {"status": "failed", "is_lost": True, "ended_at": self.shared.now()}
        change = lost.values(values | {"worker": None})

        def work(on: Connection) -> tuple[int, int]:
            waiting = take_from_dead(on, [*dead], self.shared.now())
            waiting += take_files_from_dead(on, [*dead])
            return on.execute(change).rowcount, waiting

        counts = await self.shared.write(work)
        log.warning("a process has died: %d responses failed, %d jobs wait again", *counts)
        self.shared.jobs_changed.set()
        self.shared.store_files_changed.set()

    async def forget_old(self) -> None:
        """Delete what is too old: responses, their events, jobs, notes, files, uploads, usage."""
        now = self.shared.now()
        await self._in_batches(_ended_before(now - self.days * _DAY_SECONDS), _delete)
        streamed = _ended_before(now - EVENTS_KEPT_SECONDS).where(
            responses.c.last_event.is_not(None)
        )
        await self._in_batches(streamed, _delete_events)
        is_old = jobs.c.ended_at < now - JOBS_KEPT_SECONDS
        never_came = (jobs.c.state == ARRIVING) & (jobs.c.created_at < now - ARRIVING_SECONDS)
        await self._in_batches(select(jobs.c.id).where(is_old | never_came), _delete_jobs)
        before = now - NOTES_KEPT_SECONDS
        old = select(source_failures.c.id).where(source_failures.c.failed_at < before)
        await self._in_batches(old, _delete_failures)
        old = select(source_syncs.c.id).where(source_syncs.c.synced_at < before)
        await self._in_batches(old, _delete_syncs)
        await self._forget_files(now)
        is_old = file_batches.c.created_at < now - JOBS_KEPT_SECONDS
        await self._in_batches(select(file_batches.c.id).where(is_old), _delete_batches)
        before_day = datetime.fromtimestamp(now - self.usage_days * _DAY_SECONDS, UTC).date()
        is_past = usage_days.c.day < before_day.isoformat()
        await self._in_batches(select(usage_days.c.id).where(is_past), _delete_usage)
        await self.shared.database.give_back()

    async def _forget_files(self, now: float) -> None:
        """Those that have expired, and what never became one. `core/files` removes the bytes."""
        expired = select(files.c.id).where(files.c.expires_at <= now)
        await self._in_batches(expired, partial(_with, delete_files, now))
        ended = select(uploads.c.id).where(uploads.c.expires_at <= now)
        await self._in_batches(ended, partial(_with, delete_uploads, now))
        await self.shared.write(lambda on: abandon(on, now - BLOB_SECONDS))

    async def make_room(self) -> None:
        """Measure what is stored; where there is hardly any room left, delete the oldest."""
        room = self.shared.room
        room.measured(await self.shared.read(stored_bytes))
        if room.used <= FULL_SHARE * room.max_bytes:
            return
        while (excess := room.used - int(ROOMY_SHARE * room.max_bytes)) > 0:
            if not await self.shared.write(partial(_delete_oldest, excess)):
                log.warning("the state is full, and there is no response left to delete")
                return
            room.measured(await self.shared.read(stored_bytes))

    async def _in_batches(self, chosen: Select[str], change: Change) -> None:
        """Others write in between."""
        while await self._batch(chosen, change) == BATCH:
            pass

    async def _batch(self, chosen: Select[str], change: Change) -> int:
        def work(on: Connection) -> int:
            ids = on.execute(chosen.limit(BATCH)).scalars().all()
            if ids:
                change(on, ids)
            return len(ids)

        return await self.shared.write(work)

    async def run(self) -> None:
        """For ever."""
        async with asyncio.TaskGroup() as group:
            group.create_task(_regularly(DEAD_SECONDS, self.end_lost))
            group.create_task(_regularly(OLD_SECONDS, self.forget_old))
            group.create_task(_regularly(SHORT_SECONDS, self._make_room_in_time))

    async def _make_room_in_time(self) -> None:
        """As soon as a write has found none."""
        with suppress(TimeoutError):
            async with asyncio.timeout(OLD_SECONDS):
                await self.shared.room.is_short.wait()
        await self.make_room()


async def _regularly(seconds: float, step: Callable[[], Awaitable[object]]) -> None:
    while True:
        await asyncio.sleep(seconds)
        try:
            await step()
        except LLMAPIError as error:
            log.debug("the state is not swept now: %s", error.message)


def stored_bytes(on: Connection) -> int:
    """The texts of all owners together."""
    sizes = (func.coalesce(func.sum(table.c.size), 0) for table in STORED)
    return sum(int(on.execute(select(size)).scalar_one()) for size in sizes)


def _ended_before(moment: float) -> Select[str]:
    return select(responses.c.id).where(responses.c.ended_at < moment)


def _delete_oldest(excess: int, on: Connection) -> int:
    """Delete the responses that ended first, until so many bytes are free. How many, of a batch."""
    ended = select(responses.c.id, responses.c.size).where(responses.c.ended_at.is_not(None))
    rows = on.execute(ended.order_by(responses.c.ended_at).limit(BATCH)).all()
    before = accumulate((row.size for row in rows), initial=0)
    ids = [row.id for row, freed in zip(rows, before, strict=False) if freed < excess]
    _delete(on, ids)
    return len(ids)


def _delete(on: Connection, ids: Sequence[str]) -> None:
    on.execute(delete(responses).where(responses.c.id.in_(ids)))


def _with(
    change: Callable[[Connection, Sequence[str], float], None],
    now: float,
    on: Connection,
    ids: Sequence[str],
) -> None:
    change(on, ids, now)


def _delete_jobs(on: Connection, ids: Sequence[str]) -> None:
    on.execute(delete(jobs).where(jobs.c.id.in_(ids)))


def _delete_failures(on: Connection, ids: Sequence[str]) -> None:
    on.execute(delete(source_failures).where(source_failures.c.id.in_(ids)))


def _delete_syncs(on: Connection, ids: Sequence[str]) -> None:
    on.execute(delete(source_syncs).where(source_syncs.c.id.in_(ids)))


def _delete_batches(on: Connection, ids: Sequence[str]) -> None:
    """Their files stay."""
    on.execute(delete(file_batches).where(file_batches.c.id.in_(ids)))


def _delete_usage(on: Connection, ids: Sequence[str]) -> None:
    on.execute(delete(usage_days).where(usage_days.c.id.in_(ids)))


def _delete_events(on: Connection, ids: Sequence[str]) -> None:
    """The row's size still counts them until it goes: they were the lesser part of it."""
    on.execute(delete(response_events).where(response_events.c.response_id.in_(ids)))
    on.execute(update(responses).where(responses.c.id.in_(ids)).values(last_event=None))
