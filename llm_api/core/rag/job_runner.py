"""Runs the ingests that wait."""

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from llm_api.core.rag.files import FileToIngest
from llm_api.core.rag.job_loop import running
from llm_api.core.rag.jobs import KIND, details_of, remark_on, to_document, to_file, to_page
from llm_api.core.rag.reports import DocumentOutcome
from llm_api.core.rag.retrieval import Retrieval
from llm_api.core.rag.types import Document
from llm_api.core.state.records import DoneInput, StoredJob, WaitingInput
from llm_api.core.state.state import State

if TYPE_CHECKING:
    from llm_api.core.state.job_queue import JobQueue

RetrievalOf = Callable[[str], Retrieval]
"""Retrieval as the owner of a job may use it at that moment. Raises LLMAPIError where the owner may
not (any more)."""


def running_jobs(state: State, retrieval_of: RetrievalOf) -> AbstractAsyncContextManager[None]:
    """Jobs are run inside; the one that runs at the end is left to who comes next."""

    def begin(queue: "JobQueue", job: StoredJob) -> _Ingest:
        return _Ingest(queue, job, _Progress(queue, job.id), retrieval_of)

    return running(state, KIND, begin)


@dataclass(frozen=True, slots=True)
class _Ingest:
    """One job: `Work` of `job_loop`."""

    queue: "JobQueue"
    job: StoredJob
    progress: "_Progress"
    retrieval_of: RetrievalOf

    async def store(self) -> bool:
        return await self.progress.store()

    async def run(self) -> None:
        queue, job, progress = self.queue, self.job, self.progress
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
