"""Large ingests, one after the other, in the background: the request that starts one is answered.

queued ──► running ──► done        every document was tried, some may have failed
│          ├──────► failed      the store or the model gave out
└──────────┴──────► cancelled   what was stored until then stays
"""

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Literal, TypeAlias
from uuid import uuid4

from llm_api.core.errors import JobNotFoundError, LLMAPIError, OverloadedError, UnavailableError
from llm_api.core.rag.reports import DocumentOutcome, Report

log = logging.getLogger(__name__)

CLOSE_SECONDS = 2.0
"""How long a write under way may take at the end: the store, closed next, ends it then."""

Work: TypeAlias = Callable[[Report], Coroutine[Any, Any, None]]
"""The ingest itself. It reports each document, and raises where it cannot go on."""

EndState: TypeAlias = Literal["done", "failed", "cancelled"]
JobState: TypeAlias = Literal["queued", "running"] | EndState


@dataclass(frozen=True, slots=True)
class Job:
    """A look at a job. `done` of `total` documents are stored or have failed.

    `failures` are reasons by document, and grow while the job runs, as do `warnings`: what of a
    file could not be read. `error` is why the whole job failed. Times are in Unix seconds, None
    while they have not come.
    """

    id: str
    collection: str
    total: int
    created_at: float
    state: JobState = "queued"
    done: int = 0
    failures: dict[str, str] = field(default_factory=dict)
    warnings: dict[str, Sequence[str]] = field(default_factory=dict)
    error: str = ""
    started_at: float | None = None
    ended_at: float | None = None

    @property
    def has_ended(self) -> bool:
        return self.state not in ("queued", "running")


class JobList:
    """The jobs that are known: at most `waiting` of them queued, and `kept` that have ended."""

    def __init__(self, waiting: int, kept: int) -> None:
        self._waiting = waiting
        self._kept = kept
        self._jobs: dict[str, Job] = {}
        self._seconds_per_job = 60.0  # until one has ended

    def add(self, job: Job) -> None:
        """Raises OverloadedError where too many wait already."""
        queued = sum(one.state == "queued" for one in self._jobs.values())
        if queued >= self._waiting:
            raise OverloadedError(
                f"{queued} ingests wait already; try again later.",
                retry_after_seconds=self._seconds_per_job,
            )
        self._jobs[job.id] = job

    def get(self, job_id: str) -> Job | None:
        """None for one that nobody made, or that ended long ago."""
        return self._jobs.get(job_id)

    def all(self) -> list[Job]:
        """The newest first."""
        return list(reversed(self._jobs.values()))

    def next_queued(self) -> Job | None:
        """The one that has waited longest."""
        return next((job for job in self._jobs.values() if job.state == "queued"), None)

    def start(self, job_id: str, now: float) -> None:
        self._jobs[job_id] = replace(self._jobs[job_id], state="running", started_at=now)

    def note(self, job_id: str, outcome: DocumentOutcome) -> None:
        """One more of the job's documents is through."""
        job = self._jobs[job_id]
        self._jobs[job_id] = replace(job, done=job.done + 1)
        if outcome.what == "failed":
            job.failures[outcome.document_id] = outcome.reason
        if outcome.warnings:
            job.warnings[outcome.document_id] = outcome.warnings

    def end(self, job_id: str, state: EndState, now: float, error: str = "") -> None:
        """Forgets the oldest beyond `kept`. Does nothing where there is no job that could end."""
        job = self._jobs.get(job_id)
        if job is None or job.has_ended:
            return
        self._jobs[job_id] = replace(job, state=state, ended_at=now, error=error)
        if job.started_at is not None:
            self._seconds_per_job = max(1.0, now - job.started_at)
        ended = [one for one in self._jobs.values() if one.has_ended]
        ended.sort(key=lambda one: one.ended_at or 0.0)
        for old in ended[: -self._kept]:
            del self._jobs[old.id]


class IngestJobs:
    """Runs jobs. One at a time: a second would only make both slower. Open it on an event loop."""

    def __init__(
        self,
        waiting: int = 16,
        kept: int = 100,
        clock: Callable[[], float] = time.time,
        new_id: Callable[[], str] = lambda: f"job_{uuid4().hex}",
    ) -> None:
        self._jobs = JobList(waiting, kept)
        self._clock = clock
        self._new_id = new_id
        self._work: dict[str, Work] = {}
        self._has_work = asyncio.Event()
        self._running: tuple[str, asyncio.Task[None]] | None = None
        self._is_closed = False
        self._worker = asyncio.create_task(self._run(), name="ingest-jobs")

    def create(self, collection: str, total: int, work: Work) -> Job:
        """Queue an ingest of `total` documents. Raises OverloadedError, or UnavailableError."""
        if self._is_closed:
            raise UnavailableError("The server is stopping.")
        job = Job(self._new_id(), collection, total, self._clock())
        self._jobs.add(job)
        self._work[job.id] = work
        self._has_work.set()
        return job

    def get(self, job_id: str) -> Job:
        """Raises JobNotFoundError for one that nobody made, or that ended long ago."""
        if (job := self._jobs.get(job_id)) is None:
            raise JobNotFoundError(
                f"There is no job {job_id!r}; those that ended long ago are forgotten.",
                param="job_id",
            )
        return job

    def all(self) -> list[Job]:
        """The newest first."""
        return self._jobs.all()

    async def cancel(self, job_id: str) -> None:
        """End a job, if it has not; returns when nothing is written any more."""
        if self._running is not None and self._running[0] == job_id:
            task = self._running[1]
            task.cancel()
            await asyncio.wait([task])
        self._end(job_id, "cancelled")

    async def aclose(self) -> None:
        """Cancel all jobs. Idempotent."""
        self._is_closed = True
        self._has_work.set()
        for job in self._jobs.all():
            if job.state == "queued":
                await self.cancel(job.id)
        try:
            async with asyncio.timeout(CLOSE_SECONDS):
                if self._running is not None:
                    await self.cancel(self._running[0])
                await self._worker
        except TimeoutError:
            log.warning("a write did not end in time: it is left to the store")

    async def _run(self) -> None:
        while not self._is_closed:
            if (job := self._jobs.next_queued()) is None:
                self._has_work.clear()
                await self._has_work.wait()
                continue
            self._jobs.start(job.id, self._clock())
            report = partial(self._jobs.note, job.id)
            task = asyncio.create_task(self._work[job.id](report), name=job.id)
            self._running = job.id, task
            await asyncio.wait([task])
            self._running = None
            self._settle(job, task)

    def _settle(self, job: Job, task: "asyncio.Task[None]") -> None:
        if task.cancelled():
            self._end(job.id, "cancelled")
        elif (error := task.exception()) is None:
            self._end(job.id, "done")
        elif isinstance(error, LLMAPIError):
            self._end(job.id, "failed", " ".join(error.message.split()))
        else:
            log.error("%s failed", job.id, exc_info=error)
            self._end(job.id, "failed", "An internal error; the log says more.")

    def _end(self, job_id: str, state: EndState, error: str = "") -> None:
        """The work is dropped with its documents."""
        self._work.pop(job_id, None)
        self._jobs.end(job_id, state, self._clock(), error)
