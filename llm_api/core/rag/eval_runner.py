"""Runs the evals for which a model writes questions, or lines that place chunks."""

import json
import random
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import asdict, dataclass, replace
from itertools import islice
from typing import TYPE_CHECKING, Final, TypeAlias

from llm_api.core.errors import DocumentNotFoundError, InvalidRequestError
from llm_api.core.rag.context_job import BLOCKS, ContextJob, Place
from llm_api.core.rag.context_trial import ContextGain, OpenTrial
from llm_api.core.rag.eval_jobs import (
    KIND,
    PLACING_KIND,
    RESULTS,
    Drafted,
    EvalPlan,
    EvalResult,
    plan_of,
    to_job,
)
from llm_api.core.rag.evals import apply, evaluate_search
from llm_api.core.rag.evaluation import Judgements
from llm_api.core.rag.job_loop import running
from llm_api.core.rag.job_runner import RetrievalOf
from llm_api.core.rag.prepare import Chunking
from llm_api.core.rag.retrieval import Retrieval
from llm_api.core.rag.types import Document
from llm_api.core.state.records import DoneInput, StoredJob, WaitingInput
from llm_api.core.state.state import State
from llm_api.core.utils.long_work import in_slices

if TYPE_CHECKING:
    from llm_api.core.state.job_queue import JobQueue

LEAST_WORDS: Final = 8
"""A passage of fewer is a heading, or what is left of a page."""
PASSAGES: Final = 200
"""Of a document, among which one is chosen."""

Draft: TypeAlias = Callable[[str], Awaitable[str | None]]
"""A question that a passage answers, if the model writes one."""
DraftOf: TypeAlias = Callable[[str, str], Draft]
"""By a model, as the owner of a job may use it at that moment. Raises LLMAPIError."""
PlaceOf: TypeAlias = Callable[[str, str], Place]
"""The same."""


@dataclass(frozen=True, slots=True)
class EvalWriting:
    """What writes for evals; and an empty store, to try in what was written."""

    draft_of: DraftOf
    place_of: PlaceOf
    open_trial: OpenTrial


@asynccontextmanager
async def running_evals(
    state: State, retrieval_of: RetrievalOf, writing: EvalWriting
) -> AsyncGenerator[None, None]:
    """Jobs are run inside, one of each kind; what runs at the end is left to who comes next."""
    begin = EvalJobRunner(state, retrieval_of, writing).begin
    async with running(state, KIND, begin), running(state, PLACING_KIND, begin):
        yield


@dataclass(frozen=True, slots=True)
class EvalJobRunner:
    """Runs the jobs as their owners may use documents and models at that moment."""

    state: State
    retrieval_of: RetrievalOf
    writing: EvalWriting

    def begin(self, queue: "JobQueue", job: StoredJob) -> "_Work":
        return _Work(queue, job, self)


@dataclass(frozen=True, slots=True)
class _Work:
    """One job: `Work` of `job_loop`. What is done is kept at once."""

    queue: "JobQueue"
    job: StoredJob
    runner: EvalJobRunner

    async def store(self) -> bool:
        return await self.queue.note(self.job.id, ())

    async def run(self) -> None:
        plan = plan_of(self.job)
        retrieval = self.runner.retrieval_of(self.job.owner)
        waiting = await self.queue.waiting_inputs(self.job.id, limit=self.job.total)
        if not plan.given:
            await self._draft(plan, retrieval, [one for one in waiting if not one.details])
        drafted = to_job(self.job, await self._remarks()).drafted
        if not drafted and not plan.given:
            raise InvalidRequestError("The model has written no question that can be asked.")
        judged = _judged(drafted, plan.given)
        contexts = None
        if plan.contexts:
            blocks = [one for one in waiting if one.details]
            contexts = await self._place(plan, retrieval, blocks, *judged)
        evals = await evaluate_search(retrieval.retriever, plan.collection, *judged, plan.cutoff)
        applies = plan.applies and evals.tuning is not None
        is_applied = applies and await apply(retrieval.store, plan.collection, evals, time.time())
        result = EvalResult(evals, is_applied, contexts)
        dumped = RESULTS.dump_python(result, mode="json")
        await self._keep(self.job.total - 1, {"result": dumped})

    async def _place(
        self,
        plan: EvalPlan,
        retrieval: Retrieval,
        blocks: Sequence[WaitingInput],
        questions: Mapping[str, str],
        judgements: Judgements,
    ) -> ContextGain:
        writing = self.runner.writing
        place = writing.place_of(self.job.owner, plan.model)
        job = ContextJob(retrieval, plan.collection, place, writing.open_trial, plan.cutoff)
        job.check(questions)
        for block in blocks:
            written = await job.written(block.id, block.details)
            remark = None if written is None else BLOCKS.dump_python(written, mode="json")
            await self._keep(block.position, remark)
        kept = [json.loads(remark) for _, remark in await self._remarks()]
        found = [BLOCKS.validate_python(one) for one in kept if "lines" in one]
        tried = await job.tried(found, questions, judgements)
        if not plan.applies or not tried.gain.is_better:
            return tried.gain
        await job.apply(tried)
        return replace(tried.gain, is_applied=True)

    async def _draft(
        self, plan: EvalPlan, retrieval: Retrieval, waiting: Sequence[WaitingInput]
    ) -> None:
        """A question for each document that has none yet."""
        draft = self.runner.writing.draft_of(self.job.owner, plan.model)
        chunking = await retrieval.chunking()
        for one in waiting:
            if one.position == self.job.total - 1:  # the evaluation
                continue
            remark = None
            with suppress(DocumentNotFoundError):  # deleted meanwhile
                document = await retrieval.store.read_document(plan.collection, one.id)
                passage = await _passage(document, chunking, f"{self.job.id}/{one.position}")
                question = passage and await draft(passage)
                remark = question and asdict(Drafted(question, one.id))
            await self._keep(one.position, remark or None)

    async def _keep(self, position: int, remark: Mapping[str, object] | None) -> None:
        text = None if remark is None else json.dumps(remark)
        await self.queue.note(self.job.id, [DoneInput(position, text)])

    async def _remarks(self) -> Sequence[tuple[str, str]]:
        own = await self.runner.state.of(self.job.owner)
        return (await own.jobs.remarks([self.job.id])).get(self.job.id, ())


def _judged(
    drafted: Sequence[Drafted], given: Mapping[str, Mapping[str, int]]
) -> tuple[dict[str, str], dict[str, dict[str, int]]]:
    """Questions and grades by the question itself: two documents may have led to the same one."""
    judgements = {question: dict(grades) for question, grades in given.items()}
    for one in drafted:
        judgements.setdefault(one.question, {})[one.document_id] = 1
    return {question: question for question in judgements}, judgements


async def _passage(document: Document, chunking: Chunking, seed: str) -> str | None:
    """One of a document, the same for the same seed. None where it has none to speak of."""
    chunks = await in_slices(islice(chunking.split(document), PASSAGES), chunking.turns)
    texts = [chunk.text for chunk in chunks if len(chunk.text.split()) >= LEAST_WORDS]
    return random.Random(seed).choice(texts) if texts else None  # noqa: S311 - no secret
