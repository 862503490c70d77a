from math import log2
from typing import get_args

import pytest

from llm_api.core.rag.evaluation import compare, evaluate, ndcg, recall, reciprocal_rank
from llm_api.core.rag.vector_store import SearchMode


@pytest.mark.parametrize(
    ("wrong", "best"),
    [
        (set(), "sparse"),
        ({"sparse"}, "dense"),
        ({"sparse", "dense"}, "hybrid"),
        ({"dense", "hybrid"}, "sparse"),
    ],
)
def test_best_mode_is_the_cheapest_of_those_with_the_highest_ndcg(
    wrong: set[SearchMode], best: SearchMode
) -> None:
    rankings = {
        mode: {"q": ["b", "a"] if mode in wrong else ["a", "b"]} for mode in get_args(SearchMode)
    }
    assert compare(rankings, {"q": {"a": 1}}, 2).best == best


GRADES = {"a": 3, "b": 2, "c": 1, "no": 0, "bad": -1}
BEST = 3 + 2 / log2(3) + 1 / 2


@pytest.mark.parametrize(
    ("ranking", "cutoff", "expected_recall", "expected_mrr", "expected_ndcg"),
    [
        (["a", "b", "c"], 10, 1, 1, 1),
        (["a", "b", "c"], 2, 2 / 3, 1, 1),
        (["c", "b", "a"], 10, 1, 1, (1 + 2 / log2(3) + 3 / 2) / BEST),
        (["x", "a"], 10, 1 / 3, 1 / 2, 3 / log2(3) / BEST),
        (["x", "a"], 1, 0, 0, 0),
        (["x", "y", "z", "c"], 10, 1 / 3, 1 / 4, 1 / log2(5) / BEST),
        (["no", "bad", "b"], 10, 1 / 3, 1 / 3, 2 / log2(4) / BEST),
        (["a", "a", "b"], 2, 2 / 3, 1, 1),
        ([], 10, 0, 0, 0),
    ],
)
def test_ranking_is_judged_as_by_hand(
    ranking: list[str],
    cutoff: int,
    expected_recall: float,
    expected_mrr: float,
    expected_ndcg: float,
) -> None:
    assert recall(ranking, GRADES, cutoff) == pytest.approx(expected_recall)
    assert reciprocal_rank(ranking, GRADES, cutoff) == pytest.approx(expected_mrr)
    assert ndcg(ranking, GRADES, cutoff) == pytest.approx(expected_ndcg)


def test_example_of_the_literature_is_met() -> None:
    """Gains 3, 2, 3, 0, 1, 2 and two more of 3 and 2 that were not found."""
    grades = {"1": 3, "2": 2, "3": 3, "5": 1, "6": 2, "7": 3, "8": 2}
    assert ndcg(["1", "2", "3", "4", "5", "6"], grades, 6) == pytest.approx(6.861 / 8.740, abs=1e-3)


def test_means_are_over_the_questions_with_a_relevant_document() -> None:
    judgements = {"q1": {"a": 1}, "q2": {"a": 1, "b": 1}, "unanswered": {"a": 1}, "none": {"a": 0}}
    rankings = {"q1": ["a"], "q2": ["x", "b"], "none": ["a"], "never judged": ["a"]}
    found = evaluate(rankings, judgements, 10)
    assert (found.cutoff, found.questions) == (10, 3)
    assert (found.recall, found.mrr) == pytest.approx(((1 + 1 / 2) / 3,) * 2)
    assert found.ndcg == pytest.approx((1 + (1 / log2(3)) / (1 + 1 / log2(3))) / 3)


def test_nothing_relevant_is_no_quality() -> None:
    with pytest.raises(ValueError, match="no question"):
        evaluate({"q": ["a"]}, {"q": {"a": 0}}, 10)
