"""Runs the ingests that wait, one at a time: a second would only make both slower."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from llm_api.core.errors import LLMAPIError
from llm_api.core.rag.files import FileToIngest
from llm_api.core.rag.jobs import KIND, details_of, remark_on, to_document, to_file, to_page
from llm_api.core.rag.reports import DocumentOutcome
from llm_api.core.rag.retrieval import Retrieval
from llm_api.core.rag.types import Document
from llm_api.core.state.records import DoneInput, JobEnd, StoredJob, WaitingInput
from llm_api.core.state.state import State
from llm_api.core.utils.long_work import to_the_end

if TYPE_CHECKING:
    from llm_api.core.state.job_queue import JobQueue

log = logging.getLogger(__name__)

CLOSE_SECONDS: Final = 2.0
"""How long a write under way may take at the end: the store, closed next, ends it then."""
NOTE_SECONDS: Final = 0.25
"""How often it is stored how far a job is, and seen whether it is cancelled."""
LOOK_SECONDS: Final = 1.0
"""How often it is seen whether a job waits that another process was given."""
RETRY_SECONDS: Final = 3.0

RetrievalOf = Callable[[str], Retrieval]
"""Retrieval as the owner of a job may use it at that moment. Raises LLMAPIError where the owner may
not (any more)."""


@asynccontextmanager
async def running_jobs(state: State, retrieval_of: RetrievalOf) -> AsyncGenerator[None, None]:
    """Jobs are run inside; the one that runs at the end is left to who comes next."""
    runner = asyncio.create_task(_Runner(state, retrieval_of).run(), name="ingest-jobs")
    try:
        yield
    finally:
        runner.cancel()
        done, _ = await asyncio.wait([runner], timeout=CLOSE_SECONDS)
        if not done:
            log.warning("a write did not end in time: it is left to the store")


@dataclass(frozen=True, slots=True)
class _Runner:
    state: State
    retrieval_of: RetrievalOf

    async def run(self) -> None:
        await self.state.used()
        while True:
            try:
                queue = await self.state.queue(KIND)
                if (job := await queue.claim()) is None:
                    await queue.changed(LOOK_SECONDS)
                else:
                    await self._run_job(queue, job)
            except LLMAPIError as error:
                log.debug("ingests do not run now: %s", error.message)
                await asyncio.sleep(RETRY_SECONDS)
            except Exception:
                # The border of the task: what waits must not wait for ever.
                log.exception("running an ingest failed")
                await asyncio.sleep(RETRY_SECONDS)

    async def _run_job(self, queue: "JobQueue", job: StoredJob) -> None:
        """To its end, or to this process's: then it is left to another."""
        progress = _Progress(queue, job.id)
        ingest = asyncio.create_task(self._ingest(queue, job, progress), name=job.id)
        try:
            while not ingest.done():
                await asyncio.wait([ingest], timeout=NOTE_SECONDS)
                if not await progress.store():
                    ingest.cancel()
                    await asyncio.wait([ingest])
            await progress.store()
            await queue.end(job.id, *_end_of(job.id, ingest))
        except asyncio.CancelledError:
            ingest.cancel()
            await to_the_end(self._leave(queue, job, ingest, progress))
            raise
        except BaseException:
            ingest.cancel()
            await asyncio.wait([ingest])
            raise

    async def _leave(
        self, queue: "JobQueue", job: StoredJob, ingest: "asyncio.Task[None]", progress: "_Progress"
    ) -> None:
        await asyncio.wait([ingest])
        await progress.store()
        await queue.release(job.id)

    async def _ingest(self, queue: "JobQueue", job: StoredJob, progress: "_Progress") -> None:
        retrieval = self.retrieval_of(job.owner)
        details = details_of(job)
        if details.source == "texts":
            documents = _texts(queue, job.id, progress)
            await retrieval.ingest(details.collection, documents, progress.report)
            return
        inputs = progress.expecting(await queue.waiting_inputs(job.id, limit=job.total))
        if details.source == "files":
            files = [_file(queue, job.id, one) for one in inputs]
            await retrieval.ingest_files(job.owner, details.collection, files, progress.report)
            return

        def report(asked: str, outcome: DocumentOutcome) -> None:
            progress.report(replace(outcome, document_id=asked))

        pages = [to_page(one.id, one.details) for one in inputs]
        await retrieval.ingest_pages(details.collection, pages, report)


class _Progress:
    """Which inputs of a job are done, until that is stored.

    Several inputs may have one id. They are done when all of them that were begun are reported,
    since a report does not say which one it is about.
    """

    def __init__(self, queue: "JobQueue", job_id: str) -> None:
        self._queue = queue
        self._job_id = job_id
        self._begun: dict[str, list[int]] = {}
        self._reported: dict[str, list[str | None]] = {}
        self._done: list[DoneInput] = []

    def expecting(self, inputs: Sequence[WaitingInput]) -> Sequence[WaitingInput]:
        """The inputs, which are begun now."""
        for one in inputs:
            self._begun.setdefault(one.id, []).append(one.position)
        return inputs

    def report(self, outcome: DocumentOutcome) -> None:
        """As `Report`."""
        id = outcome.document_id
        reported = self._reported.setdefault(id, [])
        reported.append(remark_on(outcome))
        if len(reported) == len(self._begun[id]):
            self._done += map(DoneInput, self._begun.pop(id), self._reported.pop(id))

    async def store(self) -> bool:
        """Whether the job goes on: nobody has cancelled it, no other process runs it."""
        done, self._done = self._done, []
        return await self._queue.note(self._job_id, done)


async def _texts(
    queue: "JobQueue", job_id: str, progress: _Progress
) -> AsyncGenerator[Document, None]:
    last = -1
    while inputs := progress.expecting(await queue.waiting_inputs(job_id, last)):
        bodies = await queue.bodies(job_id, [one.position for one in inputs])
        for one in inputs:
            yield to_document(one.id, one.details, bodies[one.position])
        last = inputs[-1].position


def _file(queue: "JobQueue", job_id: str, one: WaitingInput) -> FileToIngest:
    async def read() -> bytes:
        return (await queue.bodies(job_id, [one.position]))[one.position]

    return to_file(one.id, one.details, read)


def _end_of(job_id: str, ingest: "asyncio.Task[None]") -> tuple[JobEnd, str]:
    """How the job of this task ended, and why."""
    if ingest.cancelled():
        return "cancelled", ""
    if (error := ingest.exception()) is None:
        return "done", ""
    if isinstance(error, LLMAPIError):
        return "failed", " ".join(error.message.split())
    log.error("%s failed", job_id, exc_info=error)
    return "failed", "An internal error; the log says more."
