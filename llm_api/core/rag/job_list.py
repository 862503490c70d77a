"""What is known of jobs, and how their states follow each other. No task runs here.

queued ──► running ──► done        every document was tried, some may have failed
│          ├──────► failed      the store or the model gave out
└──────────┴──────► cancelled   what was stored until then stays
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, TypeAlias

from llm_api.core.errors import OverloadedError
from llm_api.core.rag.outcome import DocumentOutcome

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
