"""Large ingests, one after the other, behind the back of who asked for them."""

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, TypeAlias
from uuid import uuid4

from llm_api.core.errors import JobNotFoundError, LLMAPIError, UnavailableError
from llm_api.core.rag.job_list import EndState, Job, JobList
from llm_api.core.rag.outcome import Report

log = logging.getLogger(__name__)

CLOSE_SECONDS = 2.0
"""How long a write under way may take at the end: the store, closed next, ends it then."""

Work: TypeAlias = Callable[[Report], Coroutine[Any, Any, None]]
"""The ingest itself. It reports each document, and raises where it cannot go on."""


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
