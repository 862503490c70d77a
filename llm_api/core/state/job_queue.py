"""Jobs of all owners, for the processes that run them. One process runs a job at a time.

A process that is taken for dead loses its jobs to another: what it does to them then does nothing.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import ColumnElement, Update, bindparam, delete, func, select, update
from sqlalchemy.engine import Connection

from llm_api.core.state.jobs import ARRIVING, forget_inputs, to_job
from llm_api.core.state.records import DoneInput, JobEnd, StoredJob, WaitingInput, bytes_of
from llm_api.core.state.shared import SharedState
from llm_api.core.state.tables import job_inputs, job_parts, jobs

MAX_ATTEMPTS: Final = 3
"""Times that a job is begun: one that ends its process each time does so no more often."""


@dataclass(frozen=True, slots=True)
class JobQueue:
    """The jobs of one kind."""

    _shared: SharedState
    kind: str

    async def changed(self, seconds: float) -> None:
        """Return when a job was submitted or cancelled in this process, or after that time."""
        try:
            async with asyncio.timeout(seconds):
                await self._shared.jobs_changed.wait()
        except TimeoutError:
            pass
        self._shared.jobs_changed.clear()

    async def claim(self) -> StoredJob | None:
        """The job that has waited longest, now run by this process.

        One that this process has begun and lost hold of, as when the database was away, waits too.
        """
        is_lost = (jobs.c.state == "running") & (jobs.c.worker == self._shared.worker)
        waiting = select(jobs.c.id).where(
            jobs.c.kind == self.kind, (jobs.c.state == "queued") | is_lost
        )
        first = waiting.order_by(jobs.c.created_at).limit(1)
        if await self._shared.read(lambda on: on.execute(first).first()) is None:
            return None  # without a transaction that writes
        now = self._shared.now()

        def work(on: Connection) -> StoredJob | None:
            id = on.execute(first.with_for_update(skip_locked=True)).scalar()
            claimed = update(jobs).where(jobs.c.id == id)
            values = {"state": "running", "worker": self._shared.worker}
            change = claimed.values(
                values
                | {
                    "started_at": func.coalesce(jobs.c.started_at, now),
                    "attempts": jobs.c.attempts + 1,
                }
            )
            row = None if id is None else on.execute(change.returning(*jobs.c)).first()
            return None if row is None else to_job(row)

        return await self._shared.write(work)

    async def waiting_inputs(
        self, id: str, after: int = -1, limit: int = 100
    ) -> Sequence[WaitingInput]:
        """Those that are not done, from the one after that position."""
        columns = job_inputs.c.position, job_inputs.c.id, job_inputs.c.details
        query = (
            select(*columns)
            .where(job_inputs.c.job_id == id, job_inputs.c.position > after, ~job_inputs.c.is_done)
            .order_by(job_inputs.c.position)
            .limit(limit)
        )
        return await self._shared.read(lambda on: [WaitingInput(*row) for row in on.execute(query)])

    async def bodies(self, id: str, positions: Sequence[int]) -> Mapping[int, bytes]:
        """Those of these inputs, as a whole in memory."""
        query = (
            select(job_parts.c.position, job_parts.c.body)
            .where(job_parts.c.job_id == id, job_parts.c.position.in_(positions))
            .order_by(job_parts.c.position, job_parts.c.part)
        )
        parts: dict[int, list[bytes]] = {position: [] for position in positions}
        for row in await self._shared.read(lambda on: on.execute(query).all()):
            parts[row.position].append(row.body)
        return {position: b"".join(pieces) for position, pieces in parts.items()}

    async def note(self, id: str, done: Sequence[DoneInput]) -> bool:
        """These inputs are done. Whether to go on: not where somebody has cancelled the job.

        Nothing is stored where it is not this process's any more.
        """
        if not done:
            goes_on = select(jobs.c.id).where(*self._is_mine(id), ~jobs.c.wants_cancel)
            return await self._shared.read(lambda on: on.execute(goes_on).first() is not None)

        def work(on: Connection) -> bool:
            row = on.execute(
                self._mine(id).values(done=jobs.c.done + len(done)).returning(jobs.c.wants_cancel)
            ).first()
            if row is None:
                return False
            _finish_inputs(on, id, done)
            return not row.wants_cancel

        remarks = (one.remark for one in done if one.remark is not None)
        return await self._shared.write(work, bytes_of(*remarks))

    async def end(self, id: str, state: JobEnd, error: str = "") -> bool:
        """False where it is not this process's any more: then nothing is stored."""
        values = {"state": state, "error": error, "ended_at": self._shared.now(), "worker": None}

        def work(on: Connection) -> bool:
            if not on.execute(self._mine(id).values(values)).rowcount:
                return False
            forget_inputs(on, id)
            return True

        return await self._shared.write(work)

    async def release(self, id: str) -> None:
        """Leave the job to who claims it next: this process is stopping."""
        change = self._mine(id).values(state="queued", worker=None, attempts=jobs.c.attempts - 1)
        await self._shared.write(lambda on: on.execute(change))

    def _mine(self, id: str) -> Update:
        return update(jobs).where(*self._is_mine(id))

    def _is_mine(self, id: str) -> tuple[ColumnElement[bool], ...]:
        return jobs.c.id == id, jobs.c.state == "running", jobs.c.worker == self._shared.worker


def _finish_inputs(on: Connection, id: str, done: Sequence[DoneInput]) -> None:
    """Their bodies go; a row stays for each remark."""
    parts = job_parts.c.job_id == id, job_parts.c.position.in_(one.position for one in done)
    on.execute(delete(job_parts).where(*parts))
    kept = {one.position: one.remark for one in done if one.remark is not None}
    rows = job_inputs.c.job_id == id, job_inputs.c.position.in_(one.position for one in done)
    size = on.execute(
        select(func.coalesce(func.sum(job_inputs.c.size), 0)).where(*rows)
    ).scalar_one()
    size -= bytes_of(*kept.values())
    on.execute(update(jobs).where(jobs.c.id == id).values(size=jobs.c.size - size))
    on.execute(delete(job_inputs).where(*rows, job_inputs.c.position.not_in(kept)))
    remarked = update(job_inputs).where(
        job_inputs.c.job_id == id, job_inputs.c.position == bindparam("place")
    )
    remarked = remarked.values(
        is_done=True, details="", remark=bindparam("text"), size=bindparam("bytes")
    )
    if kept:
        values = [{"place": n, "text": text, "bytes": bytes_of(text)} for n, text in kept.items()]
        on.execute(remarked, values)


def take_from_dead(on: Connection, dead: Sequence[str], now: float) -> int:
    """Queue the jobs of these processes again, or fail them. How many there were."""
    lost: ColumnElement[bool] = jobs.c.worker.in_(dead)
    on.execute(delete(jobs).where(lost, jobs.c.state == ARRIVING))
    failed = update(jobs).where(lost, jobs.c.attempts >= MAX_ATTEMPTS)
    error = f"The server ended {MAX_ATTEMPTS} times while it ran."
    ended = (
        on.execute(
            failed.values(state="failed", error=error, ended_at=now, worker=None).returning(
                jobs.c.id
            )
        )
        .scalars()
        .all()
    )
    for id in ended:
        forget_inputs(on, id)
    again = on.execute(update(jobs).where(lost).values(state="queued", worker=None))
    return len(ended) + again.rowcount
