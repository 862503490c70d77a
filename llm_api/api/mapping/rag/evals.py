"""Evals, wire to domain and back. Pure."""

from llm_api.api.mapping.rag.search import to_tuned_search
from llm_api.api.models.rag import evals as wire
from llm_api.api.models.rag.evals import EvalAnswer, EvalRequest, Quality, Tuning
from llm_api.core.errors import InvalidRequestError
from llm_api.core.rag.eval_jobs import EvalJob, EvalPlan
from llm_api.core.rag.evals import SearchEvals, tuned_search
from llm_api.core.rag.tuning import Tuning as DomainTuning


def to_plan(request: EvalRequest, draft: int, model: str) -> EvalPlan:
    """What is to be drafted, by the model of this id. Raises InvalidRequestError for questions."""
    if request.questions is not None:
        raise InvalidRequestError("Send either 'questions' or 'draft'.", param="draft")
    return EvalPlan(request.collection, draft, request.cutoff, request.apply, model)


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
    collection: str, cutoff: int, evals: SearchEvals, *, is_applied: bool
) -> EvalAnswer:
    comparison, tuning = evals.comparison, evals.tuning
    qualities = comparison.qualities
    return EvalAnswer(
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


def to_eval_job(job: EvalJob) -> wire.EvalJob:
    plan, result = job.plan, job.result
    answer = None
    if result is not None:
        answer = to_eval_answer(
            plan.collection, plan.cutoff, result.evals, is_applied=result.is_applied
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
