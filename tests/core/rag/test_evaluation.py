from dataclasses import dataclass, field
from math import log2

import pytest

from llm_api.core.rag.evaluation import (
    ModeComparison,
    Quality,
    compare_modes,
    evaluate,
    ndcg,
    recall,
    reciprocal_rank,
)
from llm_api.core.rag.ingest import Ingester, each
from llm_api.core.rag.retrieve import Retriever
from llm_api.core.rag.types import Document
from llm_api.core.rag.vector_store import Hit, SearchMode, SearchQuery
from tests.core.rag.fakes import FakeEmbedder, FakeStore, by_lines

DOCUMENTS = [
    Document("cats", "cats purr\ncats sleep\ncats eat"),
    Document("dogs", "dogs bark"),
    Document("tax", "income declarations"),
]
QUESTIONS = {"q1": "do cats sleep", "q2": "who will bark"}
JUDGEMENTS = {"q1": {"cats": 1}, "q2": {"dogs": 2}}


@dataclass
class ModalStore(FakeStore):
    """Its sparse search finds everything in the wrong order."""

    wrong: frozenset[SearchMode] = frozenset()
    asked: list[SearchMode] = field(default_factory=list)

    async def search(self, collection: str, query: SearchQuery) -> tuple[Hit, ...]:
        self.asked.append(query.mode)
        hits = await super().search(collection, query)
        return hits[::-1] if query.mode in self.wrong else hits


async def compared(wrong: frozenset[SearchMode]) -> tuple[ModeComparison, ModalStore]:
    store = ModalStore(wrong=wrong)
    await Ingester(store, FakeEmbedder(), by_lines()).ingest(
        "default", each(DOCUMENTS), lambda _: None
    )
    retriever = Retriever(store, FakeEmbedder(), score_threshold=0.99)
    found = await compare_modes(retriever, "default", QUESTIONS, JUDGEMENTS, cutoff=2)
    return found, store


async def test_every_question_is_asked_in_every_mode_without_a_threshold() -> None:
    found, store = await compared(frozenset())
    assert sorted(store.asked) == ["dense", "dense", "hybrid", "hybrid", "sparse", "sparse"]
    assert {query.score_threshold for query in store.queries} == {None}
    assert set(found.qualities) == {"dense", "sparse", "hybrid"}
    assert {(one.cutoff, one.questions, one.ndcg) for one in found.qualities.values()} == {
        (2, 2, 1.0)
    }


@pytest.mark.parametrize(
    ("wrong", "best"),
    [
        (set(), "sparse"),
        ({"sparse"}, "dense"),
        ({"sparse", "dense"}, "hybrid"),
        ({"dense", "hybrid"}, "sparse"),
    ],
)
async def test_best_mode_is_the_cheapest_of_those_with_the_highest_ndcg(
    wrong: set[SearchMode], best: SearchMode
) -> None:
    found, _ = await compared(frozenset(wrong))
    assert found.best == best


async def test_document_is_ranked_once_where_its_best_chunk_stands() -> None:
    store = FakeStore()
    await Ingester(store, FakeEmbedder(), by_lines()).ingest(
        "default", each(DOCUMENTS), lambda _: None
    )
    retriever = Retriever(store, FakeEmbedder())
    everything = {"q1": {"cats": 3, "dogs": 1, "tax": 1}}
    found = await compare_modes(retriever, "default", {"q1": "do cats sleep"}, everything, cutoff=3)
    quality = found.qualities["dense"]
    assert quality == Quality(3, 1, recall=1.0, mrr=1.0, ndcg=1.0)


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
