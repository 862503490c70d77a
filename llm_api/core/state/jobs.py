"""Jobs of one owner: submitted with all they need, looked at, cancelled. `job_queue` runs them.

    arriving ──► queued ◄──► running ──► done │ failed │ cancelled
        │          └──────────────────► cancelled
        └► forgotten, where its process dies before the job is whole

Who knows the id of a job knows that any process can run it, even after this one has died.
"""

from collections.abc import AsyncIterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import ColumnElement, Row, delete, func, insert, select, true, update
from sqlalchemy.engine import Connection

from llm_api.core.errors import JobNotFoundError, OverloadedError
from llm_api.core.state.records import JobInput, NewJob, StoredJob, bytes_of
from llm_api.core.state.shared import SharedState
from llm_api.core.state.tables import job_inputs, job_parts, jobs

PART_BYTES: Final = 4 * 1024 * 1024
"""Of one row, and about what one transaction writes: others write in between."""
BATCH: Final = 500
MAX_REMARKS: Final = 10_000
MAX_UNFINISHED: Final = 100_000
ARRIVING: Final = "arriving"
RETRY_SECONDS: Final = 60.0


@dataclass(frozen=True, slots=True)
class Jobs:
    """Every method is about the jobs of `owner` alone; for it there are no others."""

    _shared: SharedState
    owner: str

    async def submit(
        self, new: NewJob, inputs: AsyncIterable[JobInput], max_waiting: int
    ) -> StoredJob:
        """Store a job and its inputs, as they come. It is queued when all of them are stored.

        Raises OverloadedError where `max_waiting` jobs of that kind wait already, whose ever they
        are; StateFullError; and what `inputs` does: then there is no job.
        """
        await self._shared.write(lambda on: self._begin(on, new, max_waiting), len(new.details))
        try:
            total = await self._take_in(new.id, inputs)
        except BaseException:
            await self._shared.write(lambda on: on.execute(delete(jobs).where(*self._is(new.id))))
            raise
        queued = (
            update(jobs).where(*self._is(new.id)).values(state="queued", total=total, worker=None)
        )
        job = await self._shared.write(
            lambda on: to_job(on.execute(queued.returning(*jobs.c)).one())
        )
        self._shared.jobs_changed.set()
        return job

    async def get(self, id: str, kind: str | None = None) -> StoredJob:
        """Raises JobNotFoundError, also for a job of another kind than is asked for."""
        return await self._shared.read(lambda on: self._get(on, id, kind))

    async def latest(self, kind: str, limit: int = 100) -> Sequence[StoredJob]:
        """The newest first."""
        query = select(jobs).where(
            jobs.c.owner == self.owner, jobs.c.kind == kind, jobs.c.state != ARRIVING
        )
        query = query.order_by(jobs.c.created_at.desc(), jobs.c.id).limit(limit)
        return await self._shared.read(lambda on: [to_job(row) for row in on.execute(query)])

    async def remarks(self, ids: Sequence[str]) -> Mapping[str, Sequence[tuple[str, str]]]:
        """By job, the ids of inputs that are done and the remarks on them, in their order."""
        query = (
            select(job_inputs.c.job_id, job_inputs.c.id, job_inputs.c.remark)
            .join(jobs, jobs.c.id == job_inputs.c.job_id)
            .where(jobs.c.owner == self.owner, jobs.c.id.in_(ids), job_inputs.c.remark.is_not(None))
            .order_by(job_inputs.c.job_id, job_inputs.c.position)
            .limit(MAX_REMARKS)
        )
        found: dict[str, list[tuple[str, str]]] = {}
        for row in await self._shared.read(lambda on: on.execute(query).all()):
            found.setdefault(row.job_id, []).append((row.id, row.remark))
        return found

    async def unfinished_inputs(self, kind: str) -> Sequence[tuple[str, str, str]]:
        """The inputs that jobs have not come to: details of the job, id and details of each."""
        query = (
            select(jobs.c.details, job_inputs.c.id, job_inputs.c.details)
            .join(jobs, jobs.c.id == job_inputs.c.job_id)
            .where(jobs.c.owner == self.owner, jobs.c.kind == kind, jobs.c.ended_at.is_(None))
            .where(~job_inputs.c.is_done)
            .limit(MAX_UNFINISHED)
        )
        return await self._shared.read(
            lambda on: [(row[0], row[1], row[2]) for row in on.execute(query)]
        )

    async def request_cancel(self, id: str) -> StoredJob:
        """End a job that waits; ask the process that runs it to stop. The job as it is now.

        Raises JobNotFoundError.
        """
        now = self._shared.now()

        def work(on: Connection) -> StoredJob:
            waits = update(jobs).where(*self._is(id), jobs.c.state == "queued")
            if on.execute(waits.values(state="cancelled", ended_at=now)).rowcount:
                forget_inputs(on, id)
            runs = update(jobs).where(*self._is(id), jobs.c.state == "running")
            on.execute(runs.values(wants_cancel=True))
            return self._get(on, id)

        job = await self._shared.write(work)
        self._shared.jobs_changed.set()
        return job

    def _is(self, id: str) -> tuple[ColumnElement[bool], ...]:
        return jobs.c.id == id, jobs.c.owner == self.owner

    def _get(self, on: Connection, id: str, kind: str | None = None) -> StoredJob:
        of_kind = true() if kind is None else jobs.c.kind == kind
        query = select(jobs).where(*self._is(id), jobs.c.state != ARRIVING, of_kind)
        row = on.execute(query).first()
        if row is None:
            raise JobNotFoundError(
                f"There is no job {id!r}; those that ended long ago are forgotten.", param="job_id"
            )
        return to_job(row)

    def _begin(self, on: Connection, new: NewJob, max_waiting: int) -> None:
        waiting = (
            select(func.count())
            .select_from(jobs)
            .where(jobs.c.kind == new.kind, jobs.c.state.in_(("queued", ARRIVING)))
        )
        if (count := on.execute(waiting).scalar_one()) >= max_waiting:
            raise OverloadedError(
                f"{count} jobs wait already; try again later.", retry_after_seconds=RETRY_SECONDS
            )
        row = {
            "id": new.id,
            "owner": self.owner,
            "kind": new.kind,
            "state": ARRIVING,
            "details": new.details,
            "total": 0,
            "done": 0,
            "error": "",
            "created_at": new.created_at,
            "worker": self._shared.worker,
            "attempts": 0,
            "wants_cancel": False,
            "size": bytes_of(new.details),
        }
        on.execute(insert(jobs), row)

    async def _take_in(self, id: str, inputs: AsyncIterable[JobInput]) -> int:
        """How many there were."""
        batch, position = _Batch(id), 0
        async for given in inputs:
            batch.add(position, given)
            position += 1
            if batch.is_full:
                await self._shared.write(batch.store, batch.size)
                batch = _Batch(id)
        await self._shared.write(batch.store, batch.size)
        return position


class _Batch:
    """Inputs of a job that are written in one transaction."""

    def __init__(self, job_id: str) -> None:
        self.size = 0
        self._job_id = job_id
        self._inputs: list[dict[str, Any]] = []
        self._parts: list[dict[str, Any]] = []

    @property
    def is_full(self) -> bool:
        return self.size >= PART_BYTES or len(self._inputs) >= BATCH

    def add(self, position: int, given: JobInput) -> None:
        size = bytes_of(given.id, given.details) + len(given.body)
        place = {"job_id": self._job_id, "position": position}
        more = {"id": given.id, "details": given.details, "size": size, "is_done": False}
        self._inputs.append(place | more)
        for number, start in enumerate(range(0, len(given.body), PART_BYTES)):
            body = given.body[start : start + PART_BYTES]
            self._parts.append(place | {"part": number, "body": body})
        self.size += size

    def store(self, on: Connection) -> None:
        if self._inputs:
            on.execute(insert(job_inputs), self._inputs)
        if self._parts:
            on.execute(insert(job_parts), self._parts)
        grown = update(jobs).where(jobs.c.id == self._job_id)
        on.execute(grown.values(size=jobs.c.size + self.size))


def forget_inputs(on: Connection, id: str) -> None:
    """Free the room of what a job that has ended did not come to."""
    on.execute(delete(job_parts).where(job_parts.c.job_id == id))
    on.execute(delete(job_inputs).where(job_inputs.c.job_id == id, ~job_inputs.c.is_done))
    kept = select(func.coalesce(func.sum(job_inputs.c.size), 0)).where(job_inputs.c.job_id == id)
    on.execute(update(jobs).where(jobs.c.id == id).values(size=kept.scalar_subquery()))


def to_job(row: Row[Any]) -> StoredJob:
    return StoredJob(
        row.id,
        row.owner,
        row.details,
        row.state,
        row.total,
        row.done,
        row.error,
        row.created_at,
        row.started_at,
        row.ended_at,
    )
