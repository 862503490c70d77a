"""Search and evals, wire to domain and back: tables."""

import pytest

from llm_api.api.mapping.rag.search import (
    to_eval_answer,
    to_hit,
    to_questions,
    to_search_answer,
    to_search_options,
    to_span,
)
from llm_api.api.models.rag.fields import SearchParameters
from llm_api.api.models.rag.search import EvalRequest
from llm_api.core.errors import InvalidRequestError
from llm_api.core.rag.evaluation import ModeComparison, Quality
from llm_api.core.rag.filters import parse_filter
from llm_api.core.rag.retrieve import SearchOptions
from llm_api.core.rag.types import Span
from llm_api.core.rag.vector_store import SearchMode
from tests.api.mapping.rag.values import WIRE_CATS, cats, dogs

FILTER = {"year": {"gte": 2020}}


def options(path: str = "", /, **given: object) -> SearchOptions:
    return to_search_options(SearchParameters.model_validate(given), 4, path)


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ({}, SearchOptions("default", 4, "hybrid")),
        ({"collection": "c", "top_k": 1, "mode": "dense"}, SearchOptions("c", 1, "dense")),
        ({"filter": FILTER}, SearchOptions("default", 4, filter=parse_filter(FILTER))),
        ({"score_threshold": 0.0}, SearchOptions("default", 4, score_threshold=0.0)),
        (
            {"rerank": True, "diversity": 0.5},
            SearchOptions("default", 4, rerank=True, diversity=0.5),
        ),
        ({"rerank": None, "diversity": None, "top_k": None}, SearchOptions("default", 4)),
    ],
)
def test_options_are_what_is_said_and_else_the_defaults(
    given: dict[str, object], wanted: SearchOptions
) -> None:
    assert options(**given) == wanted


@pytest.mark.parametrize(("path", "param"), [("", "filter.year"), ("rag.", "rag.filter.year")])
def test_filter_at_fault_is_named_by_its_place(path: str, param: str) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        options(path, filter={"year": {"like": 1}})
    assert caught.value.param is not None
    assert caught.value.param.startswith(param)


def test_span_counts_from_its_start() -> None:
    assert to_span(Span(3, 18)).model_dump() == {"start": 3, "end": 18}


def test_hit_has_its_words_their_place_and_its_scores() -> None:
    assert to_hit(cats()).model_dump() == WIRE_CATS
    scores = to_hit(dogs()).scores
    assert (scores.dense, scores.sparse, scores.rerank) == (None, 1.25, 1.5)


def test_search_answer_keeps_the_order() -> None:
    answer = to_search_answer(SearchOptions("c", 4, "sparse"), [dogs(), cats()])
    assert (answer.object, answer.collection, answer.mode) == ("list", "c", "sparse")
    assert [hit.chunk_id for hit in answer.data] == ["d-1", "c-1"]


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
    answer = to_eval_answer(evals(["a"], ["b"]), ModeComparison(qualities, "hybrid"))
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
    }
