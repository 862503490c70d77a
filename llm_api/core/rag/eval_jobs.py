"""Evals whose questions a model drafts: jobs, since each question takes the model a while.

    documents chosen ──► a question drafted for each ──► all of them evaluated ──► result

Each question that is drafted is kept at once: a job that goes on elsewhere drafts only the others.
"""

import json
import random
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Final
from uuid import uuid4

from pydantic import TypeAdapter

from llm_api.core.errors import InvalidRequestError
from llm_api.core.rag.evals import SearchEvals
from llm_api.core.rag.vector_store import VectorStore, every_document
from llm_api.core.state.records import JobInput, JobState, NewJob, StoredJob
from llm_api.core.state.state import State

KIND: Final = "evals"
MAX_WAITING: Final = 4
DOCUMENTS: Final = 20_000
"""Among which those are chosen that questions are drafted for."""

_RESULT: Final = "result"
"""The last input of a job, beside the documents: the evaluation. No document has its position."""


@dataclass(frozen=True, slots=True)
class EvalPlan:
    """What to do. `model` drafts the questions."""

    collection: str
    questions: int
    cutoff: int
    applies: bool
    model: str


@dataclass(frozen=True, slots=True)
class EvalResult:
    evals: SearchEvals
    is_applied: bool


@dataclass(frozen=True, slots=True)
class Drafted:
    """A question, and the document that it was drafted for."""

    question: str
    document_id: str


@dataclass(frozen=True, slots=True)
class EvalJob:
    """A look at a job. `done` of its `total` steps are: a question each, and the evaluation."""

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
        new = NewJob(self._new_id(), KIND, json.dumps(asdict(plan)), self._clock())
        chosen = await _choose(store, plan, new.id)
        own = await self._state.of(owner)
        stored = await own.jobs.submit(new, _inputs(chosen), MAX_WAITING)
        return to_job(stored, ())

    async def get(self, owner: str, job_id: str) -> EvalJob:
        """Raises JobNotFoundError for one that this owner did not make, or that ended long ago."""
        own = await self._state.of(owner)
        stored = await own.jobs.get(job_id, KIND)
        return to_job(stored, (await own.jobs.remarks([job_id])).get(job_id, ()))

    async def cancel(self, owner: str, job_id: str) -> EvalJob:
        """Have it end, if it has not. Raises JobNotFoundError."""
        own = await self._state.of(owner)
        await own.jobs.get(job_id, KIND)
        await own.jobs.request_cancel(job_id)
        return await self.get(owner, job_id)


async def _choose(store: VectorStore, plan: EvalPlan, seed: str) -> list[str]:
    """Ids of documents; one stands there several times where there are few."""
    ids: list[str] = []
    async for record in every_document(store, plan.collection):
        ids.append(record.id)
        if len(ids) == DOCUMENTS:
            break
    if not ids:
        raise InvalidRequestError(
            f"There is no document in {plan.collection!r} to ask about.", param="collection"
        )
    random.Random(seed).shuffle(ids)  # noqa: S311 - no secret
    return [ids[number % len(ids)] for number in range(plan.questions)]


async def _inputs(chosen: Sequence[str]) -> AsyncIterator[JobInput]:
    for document_id in chosen:
        yield JobInput(document_id, "", b"")
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
