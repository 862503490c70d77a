"""Large ingests in the background: kept in the state, where any process answers for them.

queued ──► running ──► done        every document was tried, some may have failed
│ ▲        │ │  └────► failed      the store or the model gave out
│ └────────┘ └───────► cancelled   what was stored until then stays
└──────────────────────► cancelled

A job that was running when its process ended is queued again, and goes on with what is left.
"""

import asyncio
import json
import time
from collections.abc import AsyncIterable, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Final, Literal, TypeAlias
from uuid import uuid4

from llm_api.core.rag.files import DIGEST_FIELD, FileToIngest
from llm_api.core.rag.reports import DocumentOutcome
from llm_api.core.rag.types import Document
from llm_api.core.rag.web.reading import PageToIngest
from llm_api.core.state.records import JobInput, JobState, NewJob, StoredJob
from llm_api.core.state.state import State

KIND: Final = "ingest"
MAX_WAITING: Final = 16
CANCEL_SECONDS: Final = 10.0
"""How long `cancel` waits for the process that runs the job."""
_LOOK_SECONDS: Final = 0.05

Source: TypeAlias = Literal["texts", "files", "urls"]


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
    failures: Mapping[str, str] = field(default_factory=dict)
    warnings: Mapping[str, Sequence[str]] = field(default_factory=dict)
    error: str = ""
    started_at: float | None = None
    ended_at: float | None = None


class IngestJobs:
    """What callers do with jobs: `owner` is the identity of a key, and sees its own alone."""

    def __init__(
        self,
        state: State,
        clock: Callable[[], float] = time.time,
        new_id: Callable[[], str] = lambda: f"job_{uuid4().hex}",
    ) -> None:
        self._state = state
        self._clock = clock
        self._new_id = new_id

    async def create(
        self, owner: str, collection: str, source: Source, inputs: AsyncIterable[JobInput]
    ) -> Job:
        """Queue an ingest. Once this has returned it is carried out, whatever process ends.

        Raises OverloadedError, StateFullError, StateUnavailableError, and what `inputs` does.
        """
        details = json.dumps({"collection": collection, "source": source})
        new = NewJob(self._new_id(), KIND, details, self._clock())
        stored = await (await self._state.of(owner)).jobs.submit(new, inputs, MAX_WAITING)
        return _to_job(stored, ())

    async def get(self, owner: str, job_id: str) -> Job:
        """Raises JobNotFoundError for one that this owner did not make, or that ended long ago."""
        own = await self._state.of(owner)
        stored = await own.jobs.get(job_id, KIND)
        return _to_job(stored, (await own.jobs.remarks([job_id])).get(job_id, ()))

    async def all(self, owner: str) -> list[Job]:
        """The newest first."""
        own = await self._state.of(owner)
        stored = await own.jobs.latest(KIND)
        remarks = await own.jobs.remarks([job.id for job in stored])
        return [_to_job(job, remarks.get(job.id, ())) for job in stored]

    async def running_files(self, owner: str, collection: str) -> Mapping[str, str]:
        """The SHA-256 of files that jobs are still to store, by document."""
        waiting = await (await self._state.of(owner)).jobs.unfinished_inputs(KIND)
        return {
            id: digest
            for job, id, given in waiting
            if json.loads(job)["collection"] == collection
            and (digest := json.loads(given).get(DIGEST_FIELD)) is not None
        }

    async def cancel(self, owner: str, job_id: str) -> Job:
        """End a job, if it has not; returns when nothing is written any more, or after a while.

        Raises JobNotFoundError.
        """
        own = await self._state.of(owner)
        await own.jobs.get(job_id, KIND)
        stored = await own.jobs.request_cancel(job_id)
        looks = int(CANCEL_SECONDS / _LOOK_SECONDS)
        while not stored.has_ended and (looks := looks - 1):
            await asyncio.sleep(_LOOK_SECONDS)
            stored = await own.jobs.get(job_id)
        return await self.get(owner, job_id)


@dataclass(frozen=True, slots=True)
class JobDetails:
    """What an ingest does with its inputs."""

    collection: str
    source: Source


def details_of(job: StoredJob) -> JobDetails:
    return JobDetails(**json.loads(job.details))


def remark_on(outcome: DocumentOutcome) -> str | None:
    """What is worth keeping of what became of a document, as JSON. Pure."""
    if outcome.what != "failed" and not outcome.warnings:
        return None
    reason = outcome.reason if outcome.what == "failed" else None
    return json.dumps({"reason": reason, "warnings": outcome.warnings})


def text_input(document: Document) -> JobInput:
    """A document that a job stores. Its sections are not kept: texts have none. Pure."""
    details = {"title": document.title, "metadata": document.metadata}
    return JobInput(
        document.id, json.dumps(details), document.text.encode("utf-8", "surrogatepass")
    )


def to_document(id: str, details: str, body: bytes) -> Document:
    """What `text_input` was made of. Pure."""
    given = json.loads(details)
    text = body.decode("utf-8", "surrogatepass")
    return Document(id, text, given["title"], given["metadata"])


async def file_input(file: FileToIngest) -> JobInput:
    data = await file.read()
    digest = await asyncio.to_thread(lambda: sha256(data).hexdigest())
    details = {"metadata": file.metadata, "charset": file.charset, DIGEST_FIELD: digest}
    return JobInput(file.id, json.dumps(details), data)


def to_file(id: str, details: str, read: Callable[[], Awaitable[bytes]]) -> FileToIngest:
    """What `file_input` was made of. Pure."""
    given = json.loads(details)
    return FileToIngest(id, read, given["metadata"], given["charset"])


def page_input(page: PageToIngest) -> JobInput:
    """A page that a job fetches and stores. Pure."""
    return JobInput(page.url, json.dumps({"metadata": page.metadata}), b"")


def to_page(id: str, details: str) -> PageToIngest:
    """What `page_input` was made of. Pure."""
    return PageToIngest(id, json.loads(details)["metadata"])


def _to_job(stored: StoredJob, remarks: Sequence[tuple[str, str]]) -> Job:
    found = [(document_id, json.loads(remark)) for document_id, remark in remarks]
    return Job(
        stored.id,
        details_of(stored).collection,
        stored.total,
        stored.created_at,
        stored.state,
        stored.done,
        {document_id: one["reason"] for document_id, one in found if one["reason"] is not None},
        {document_id: one["warnings"] for document_id, one in found if one["warnings"]},
        stored.error,
        stored.started_at,
        stored.ended_at,
    )
