"""Evals, wire to domain and back: tables."""

import pytest

from llm_api.api.mapping.rag.evals import (
    to_context_quality,
    to_eval_answer,
    to_eval_job,
    to_plan,
    to_questions,
    to_tuning,
)
from llm_api.api.models.rag.evals import EvalRequest
from llm_api.core.errors import InvalidRequestError
from llm_api.core.rag.context_trial import ContextGain
from llm_api.core.rag.contexts import WrittenTokens
from llm_api.core.rag.eval_jobs import Drafted, EvalJob, EvalPlan, EvalResult
from llm_api.core.rag.evals import SearchEvals
from llm_api.core.rag.evaluation import ModeComparison, Quality
from llm_api.core.rag.tuning import SearchChoice, Tuning
from llm_api.core.rag.vector_store import SearchMode


def evals(*relevant: object) -> EvalRequest:
    questions = [{"query": f"q{n}", "relevant": one} for n, one in enumerate(relevant)]
    return EvalRequest.model_validate({"questions": questions, "cutoff": 3})


def test_relevant_documents_have_the_grade_1_or_their_own() -> None:
    questions, judgements = to_questions(evals(["a", "b"], {"c": 2, "d": -1}, []))
    assert questions == {"0": "q0", "1": "q1", "2": "q2"}
    assert judgements == {"0": {"a": 1, "b": 1}, "1": {"c": 2, "d": -1}, "2": {}}


@pytest.mark.parametrize("relevant", [[], {"a": 0, "b": -1}])
def test_questions_without_a_relevant_document_are_refused(relevant: object) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        to_questions(evals(relevant))
    assert caught.value.param == "questions"


def test_eval_answer_has_each_mode_and_the_best() -> None:
    qualities: dict[SearchMode, Quality] = {
        "sparse": Quality(3, 2, recall=0.25, mrr=0.5, ndcg=0.75),
        "hybrid": Quality(3, 2, recall=0.5, mrr=0.75, ndcg=1.0),
    }
    found = SearchEvals(ModeComparison(qualities, "hybrid"), None)
    answer = to_eval_answer("default", 3, found, is_applied=False)
    assert answer.model_dump() == {
        "object": "rag.eval",
        "collection": "default",
        "cutoff": 3,
        "questions": 2,
        "modes": {
            "sparse": {"recall": 0.25, "mrr": 0.5, "ndcg": 0.75},
            "hybrid": {"recall": 0.5, "mrr": 0.75, "ndcg": 1.0},
        },
        "best": "hybrid",
        "tuning": None,
        "contexts": None,
    }


def test_tuning_says_what_to_search_by_and_what_that_is_worth() -> None:
    tuning = Tuning(SearchChoice(1.0, 0.1, 0.25, 6), 40, ndcg=0.6, before=0.5, gain=0.1, error=0.03)
    assert to_tuning(tuning, is_applied=True).model_dump() == {
        "search": {
            "mode": "dense",
            "hybrid_search": {"embedding_weight": 1.0, "text_weight": 0.0},
            "score_threshold": 0.25,
            "top_k": 6,
            "diversity": 0.1,
            "neighbours": 6,
        },
        "ndcg": 0.6,
        "ndcg_before": 0.5,
        "gain": 0.1,
        "standard_error": 0.03,
        "better": True,
        "applied": True,
    }


def test_draft_is_a_plan_and_excludes_questions() -> None:
    given = EvalRequest.model_validate({"draft": 20, "apply": True, "model": "m", "cutoff": 5})
    assert to_plan(given, "m") == EvalPlan("default", 20, 5, applies=True, model="m")
    with pytest.raises(InvalidRequestError, match="either 'questions' or 'draft'"):
        to_plan(evals(["a"]).model_copy(update={"draft": 20}), "m")
    with pytest.raises(InvalidRequestError, match="either 'questions' or 'draft'"):
        to_questions(EvalRequest())


def test_contexts_take_questions_that_are_given_or_drafted() -> None:
    drafted = EvalRequest.model_validate({"draft": 20, "contexts": True, "max_chunks": 50})
    assert to_plan(drafted, "m") == EvalPlan("default", 20, 10, False, "m", contexts=50)
    asked = [{"query": f"q{number % 11}", "relevant": [f"d{number}"]} for number in range(12)]
    given = EvalRequest.model_validate({"questions": asked, "contexts": True})
    plan = to_plan(given, "m")
    assert (plan.questions, plan.contexts, len(plan.given)) == (0, 2000, 11)
    assert plan.given["q0"] == {"d0": 1, "d11": 1}
    few = given.model_copy(update={"questions": (given.questions or [])[:9]})
    with pytest.raises(InvalidRequestError, match="10 to 500 different questions"):
        to_plan(few, "m")


def test_contexts_are_shown_with_what_they_cost() -> None:
    tokens = WrittenTokens(prompt=900, cached=700, completion=50)
    gain = ContextGain(40, 30, 20, ndcg=0.6, before=0.5, gain=0.1, error=0.03, tokens=tokens)
    shown = to_context_quality(gain).model_dump()
    assert shown.pop("better")
    assert not shown.pop("applied")
    assert shown == {
        "chunks": 40,
        "lines": 30,
        "questions": 20,
        "ndcg": 0.6,
        "ndcg_before": 0.5,
        "gain": 0.1,
        "standard_error": 0.03,
        "prompt_tokens": 900,
        "cached_tokens": 700,
        "completion_tokens": 50,
    }


def test_job_shows_its_questions_and_in_the_end_its_result() -> None:
    plan = EvalPlan("c", 2, 5, applies=True, model="m")
    drafted = [Drafted("How?", "a")]
    job = EvalJob("eval_1", plan, "running", 1, 3, "", drafted, None, 7.9, None)
    assert to_eval_job(job).model_dump() == {
        "id": "eval_1",
        "object": "rag.eval.job",
        "collection": "c",
        "state": "running",
        "done": 1,
        "total": 3,
        "questions": [{"query": "How?", "relevant": ["a"]}],
        "result": None,
        "error": None,
        "created_at": 7,
        "ended_at": None,
    }
    modes: dict[SearchMode, Quality] = {"dense": Quality(5, 1, recall=1.0, mrr=1.0, ndcg=1.0)}
    result = EvalResult(SearchEvals(ModeComparison(modes, "dense"), None), is_applied=False)
    ended = EvalJob("eval_1", plan, "done", 3, 3, "", drafted, result, 7.9, 9.9)
    answer = to_eval_job(ended).result
    assert answer is not None
    assert (answer.collection, answer.cutoff, answer.best) == ("c", 5, "dense")
