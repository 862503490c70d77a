"""Search and evals, wire to domain and back: tables."""

from dataclasses import replace

import pytest

from llm_api.api.mapping.rag.search import (
    to_hit,
    to_search_answer,
    to_search_options,
    to_span,
)
from llm_api.api.models.rag.fields import SearchParameters
from llm_api.core.errors import InvalidRequestError
from llm_api.core.rag.filters import parse_filter
from llm_api.core.rag.retrieve import SearchOptions
from llm_api.core.rag.types import Span
from llm_api.core.rag.vector_store import HybridWeights
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
        (
            {"hybrid_search": {"embedding_weight": 3, "text_weight": 0}},
            SearchOptions("default", 4, weights=HybridWeights(3, 0)),
        ),
        ({"rerank": None, "diversity": None, "top_k": None}, SearchOptions("default", 4)),
    ],
)
def test_options_are_what_is_said_and_else_the_defaults(
    given: dict[str, object], wanted: SearchOptions
) -> None:
    assert replace(options(**given), unsaid=frozenset()) == wanted


@pytest.mark.parametrize(
    ("given", "unsaid"),
    [
        ({}, {"mode", "score_threshold", "top_k", "diversity"}),
        ({"mode": "hybrid", "diversity": 0.0}, {"score_threshold", "top_k"}),
        (
            {"hybrid_search": {"embedding_weight": 1, "text_weight": 1}, "top_k": 4},
            {"score_threshold", "diversity"},
        ),
        ({"score_threshold": -1.0}, {"mode", "top_k", "diversity"}),
    ],
)
def test_what_is_not_said_is_left_to_the_collection(
    given: dict[str, object], unsaid: set[str]
) -> None:
    assert options(**given).unsaid == unsaid


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"mode": "dense", "hybrid_search": {"embedding_weight": 1, "text_weight": 1}}, "'dense'"),
        ({"hybrid_search": {"embedding_weight": 0, "text_weight": 0}}, "above 0"),
    ],
)
def test_weights_that_say_nothing_are_refused(given: dict[str, object], words: str) -> None:
    with pytest.raises(InvalidRequestError, match=words) as caught:
        options("rag.", **given)
    assert caught.value.param == "rag.hybrid_search"


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
