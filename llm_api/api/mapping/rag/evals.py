"""Evals, wire to domain and back. Pure."""

from dataclasses import replace

from llm_api.api.mapping.rag.search import to_tuned_search
from llm_api.api.models.rag import evals as wire
from llm_api.api.models.rag.evals import (
    MAX_DRAFTED,
    ContextQuality,
    EvalAnswer,
    EvalRequest,
    Quality,
    Tuning,
)
from llm_api.core.errors import InvalidRequestError
from llm_api.core.rag.context_trial import ContextGain
from llm_api.core.rag.eval_jobs import EvalJob, EvalPlan
from llm_api.core.rag.evals import SearchEvals, tuned_search
from llm_api.core.rag.tuning import LEAST_QUESTIONS
from llm_api.core.rag.tuning import Tuning as DomainTuning


def to_plan(request: EvalRequest, model: str) -> EvalPlan:
    """What is to be written, by the model of this id. Raises InvalidRequestError."""
    if request.draft is not None and request.questions is not None:
        raise InvalidRequestError("Send either 'questions' or 'draft'.", param="draft")
    plan = EvalPlan(
        request.collection,
        request.draft or 0,
        request.cutoff,
        request.apply,
        model,
        request.max_chunks if request.contexts else 0,
    )
    return plan if request.draft else replace(plan, given=_given(request))


def _given(request: EvalRequest) -> dict[str, dict[str, int]]:
    """Grades by question. Raises InvalidRequestError where they are too few, or too many."""
    questions, judgements = to_questions(request)
    given: dict[str, dict[str, int]] = {}
    for number, question in questions.items():
        given.setdefault(question, {}).update(judgements[number])
    if not LEAST_QUESTIONS <= len(given) <= MAX_DRAFTED:
        raise InvalidRequestError(
            f"'contexts' takes {LEAST_QUESTIONS} to {MAX_DRAFTED} different questions.",
            param="questions",
        )
    return given


def to_questions(request: EvalRequest) -> tuple[dict[str, str], dict[str, dict[str, int]]]:
    """Questions, and the grades of documents, by the number of the question.

    Raises InvalidRequestError where there are none, or none has a relevant document.
    """
    if request.questions is None:
        raise InvalidRequestError("Send either 'questions' or 'draft'.", param="questions")
    questions, judgements = {}, {}
    for number, asked in enumerate(request.questions):
        relevant = asked.relevant
        grades = relevant if isinstance(relevant, dict) else dict.fromkeys(relevant, 1)
        questions[str(number)] = asked.query
        judgements[str(number)] = grades
    if not any(grade > 0 for grades in judgements.values() for grade in grades.values()):
        raise InvalidRequestError("No question has a relevant document.", param="questions")
    return questions, judgements


def to_tuning(tuning: DomainTuning, *, is_applied: bool) -> Tuning:
    return Tuning(
        search=to_tuned_search(tuned_search(tuning, 0)),
        ndcg=tuning.ndcg,
        ndcg_before=tuning.before,
        gain=tuning.gain,
        standard_error=tuning.error,
        better=tuning.is_better,
        applied=is_applied,
    )


def to_eval_answer(
    collection: str,
    cutoff: int,
    evals: SearchEvals,
    *,
    is_applied: bool,
    contexts: ContextGain | None = None,
) -> EvalAnswer:
    comparison, tuning = evals.comparison, evals.tuning
    qualities = comparison.qualities
    answer = EvalAnswer(
        object="rag.eval",
        collection=collection,
        cutoff=cutoff,
        questions=qualities[comparison.best].questions,
        modes={
            mode: Quality(recall=one.recall, mrr=one.mrr, ndcg=one.ndcg)
            for mode, one in qualities.items()
        },
        best=comparison.best,
        tuning=None if tuning is None else to_tuning(tuning, is_applied=is_applied),
    )
    if contexts is not None:
        answer.contexts = to_context_quality(contexts)
    return answer


def to_context_quality(gain: ContextGain) -> ContextQuality:
    return ContextQuality(
        chunks=gain.chunks,
        lines=gain.lines,
        questions=gain.questions,
        ndcg=gain.ndcg,
        ndcg_before=gain.before,
        gain=gain.gain,
        standard_error=gain.error,
        better=gain.is_better,
        applied=gain.is_applied,
        prompt_tokens=gain.tokens.prompt,
        cached_tokens=gain.tokens.cached,
        completion_tokens=gain.tokens.completion,
    )


def to_eval_job(job: EvalJob) -> wire.EvalJob:
    plan, result = job.plan, job.result
    answer = None
    if result is not None:
        answer = to_eval_answer(
            plan.collection,
            plan.cutoff,
            result.evals,
            is_applied=result.is_applied,
            contexts=result.contexts,
        )
    return wire.EvalJob(
        id=job.id,
        object="rag.eval.job",
        collection=plan.collection,
        state=job.state,
        done=job.done,
        total=job.total,
        questions=[
            wire.DraftedQuestion(query=one.question, relevant=[one.document_id])
            for one in job.drafted
        ],
        result=answer,
        error=job.error or None,
        created_at=int(job.created_at),
        ended_at=None if job.ended_at is None else int(job.ended_at),
    )
