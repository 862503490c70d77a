"""Evals for which a model writes: jobs, since that takes a while.

    documents chosen ─► a question drafted for each ─► lines for their chunks ─► evaluated ─► result

Questions are drafted where none are given, lines written where that is asked (`contexts`). What is
written is kept at once: a job that goes on elsewhere writes only the rest.
"""

import json
import random
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Final
from uuid import uuid4

from pydantic import TypeAdapter

from llm_api.core.errors import InvalidRequestError, JobNotFoundError
from llm_api.core.rag.context_trial import ContextGain
from llm_api.core.rag.evals import SearchEvals
from llm_api.core.rag.vector_store import DocumentRecord, VectorStore, every_document
from llm_api.core.state.records import JobInput, JobState, NewJob, StoredJob
from llm_api.core.state.state import State

if TYPE_CHECKING:
    from llm_api.core.state.jobs import Jobs

KIND: Final = "evals"
PLACING_KIND: Final = "contexts"
"""Of those that write lines, which may take a day of idle time: the others do not wait for them."""
MAX_WAITING: Final = 4
DOCUMENTS: Final = 20_000
"""Among which those are chosen that questions are drafted for."""
BLOCK: Final = 8
"""Chunks whose lines are kept together: so much may be written again after a kill."""
MAX_CHUNKS: Final = 8_000
"""Of the documents whose chunks get lines in one job."""

_RESULT: Final = "result"
"""The last input of a job, beside the documents: the evaluation. No document has its position."""


@dataclass(frozen=True, slots=True)
class EvalPlan:
    """What to do. `model` drafts the questions, unless they are `given` with the grades of each.

    With `contexts`, it writes lines for documents of so many chunks in all (`rag/contexts`).
    """

    collection: str
    questions: int
    cutoff: int
    applies: bool
    model: str
    contexts: int = 0
    given: Mapping[str, Mapping[str, int]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class EvalResult:
    evals: SearchEvals
    is_applied: bool
    contexts: ContextGain | None = None


@dataclass(frozen=True, slots=True)
class Drafted:
    """A question, and the document that it was drafted for."""

    question: str
    document_id: str


@dataclass(frozen=True, slots=True)
class EvalJob:
    """A look at a job. `done` of its `total` steps are.

    A question is one, as are the lines of up to BLOCK chunks, and the evaluation.
    """

    id: str
    plan: EvalPlan
    state: JobState
    done: int
    total: int
    error: str
    drafted: Sequence[Drafted]
    result: EvalResult | None
    created_at: float
    ended_at: float | None


RESULTS: Final = TypeAdapter(EvalResult)


class EvalJobs:
    """What callers do with these jobs: `owner` is the identity of a key, and sees its own alone."""

    def __init__(
        self,
        state: State,
        clock: Callable[[], float] = time.time,
        new_id: Callable[[], str] = lambda: f"eval_{uuid4().hex}",
    ) -> None:
        self._state = state
        self._clock = clock
        self._new_id = new_id

    async def create(self, owner: str, store: VectorStore, plan: EvalPlan) -> EvalJob:
        """Choose the documents, and queue the rest.

        Raises InvalidRequestError for an empty collection, OverloadedError, and what the store and
        the state raise.
        """
        kind = PLACING_KIND if plan.contexts else KIND
        new = NewJob(self._new_id(), kind, json.dumps(asdict(plan)), self._clock())
        records = await _choose(store, plan, new.id)
        own = await self._state.of(owner)
        stored = await own.jobs.submit(new, _inputs(records, plan), MAX_WAITING)
        return to_job(stored, ())

    async def get(self, owner: str, job_id: str) -> EvalJob:
        """Raises JobNotFoundError for one that this owner did not make, or that ended long ago."""
        own = await self._state.of(owner)
        stored = await _found(own.jobs, job_id)
        return to_job(stored, (await own.jobs.remarks([job_id])).get(job_id, ()))

    async def cancel(self, owner: str, job_id: str) -> EvalJob:
        """Have it end, if it has not. Raises JobNotFoundError."""
        own = await self._state.of(owner)
        await _found(own.jobs, job_id)
        await own.jobs.request_cancel(job_id)
        return await self.get(owner, job_id)


async def _found(jobs: "Jobs", job_id: str) -> StoredJob:
    """Of either kind. Raises JobNotFoundError."""
    try:
        return await jobs.get(job_id, KIND)
    except JobNotFoundError:
        return await jobs.get(job_id, PLACING_KIND)


async def _choose(store: VectorStore, plan: EvalPlan, seed: str) -> list[DocumentRecord]:
    """In no order; where lines are to be written, as many as have that many chunks.

    Of these, documents that have lines are left as they are, and those that answer given questions
    come first: without them, nothing could be measured.
    """
    records: list[DocumentRecord] = []
    async for record in every_document(store, plan.collection):
        if not plan.contexts or not record.lines:
            records.append(record)
        if len(records) == DOCUMENTS:
            break
    if not records:
        lacking = "without lines" if plan.contexts else "to ask about"
        raise InvalidRequestError(
            f"There is no document in {plan.collection!r} {lacking}.", param="collection"
        )
    random.Random(seed).shuffle(records)  # noqa: S311 - no secret
    if not plan.contexts:
        return records
    wanted = {id for grades in plan.given.values() for id, grade in grades.items() if grade > 0}
    chosen, room = [], plan.contexts
    for record in sorted(records, key=lambda one: one.id not in wanted):
        if record.chunks <= room:
            room -= record.chunks
            chosen.append(record)
    if not chosen:
        raise InvalidRequestError(
            f"Every document of {plan.collection!r} has more than {plan.contexts} chunks.",
            param="max_chunks",
        )
    return chosen


async def _inputs(records: Sequence[DocumentRecord], plan: EvalPlan) -> AsyncIterator[JobInput]:
    """A document stands there several times where there are fewer than questions."""
    for number in range(0 if plan.given else plan.questions):
        yield JobInput(records[number % len(records)].id, "", b"")
    for record in records if plan.contexts else ():
        for first in range(0, record.chunks, BLOCK):
            details = {"first": first, "stored_hash": record.content_hash}
            yield JobInput(record.id, json.dumps(details), b"")
    yield JobInput(_RESULT, "", b"")


def plan_of(stored: StoredJob) -> EvalPlan:
    return EvalPlan(**json.loads(stored.details))


def to_job(stored: StoredJob, remarks: Sequence[tuple[str, str]]) -> EvalJob:
    found = [json.loads(remark) for _, remark in remarks]
    results = [one["result"] for one in found if "result" in one]
    return EvalJob(
        stored.id,
        plan_of(stored),
        stored.state,
        stored.done,
        stored.total,
        stored.error,
        [Drafted(**one) for one in found if "question" in one],
        RESULTS.validate_python(results[0]) if results else None,
        stored.created_at,
        stored.ended_at,
    )
