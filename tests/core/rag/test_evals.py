from collections.abc import Mapping
from dataclasses import dataclass, field

import pytest

from llm_api.core.rag.evals import Comparison, Judgements, Rankings, compare_modes
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


@dataclass(frozen=True)
class Firsts:
    """A measure for tests: the share of questions whose first document is relevant."""

    ndcg: float


def firsts(rankings: Rankings, judgements: Judgements, cutoff: int) -> Firsts:
    assert cutoff == 2
    right = [rankings[question][0] in grades for question, grades in judgements.items()]
    return Firsts(sum(right) / len(right))


@dataclass
class ModalStore(FakeStore):
    """Its sparse search finds everything in the wrong order."""

    wrong: frozenset[SearchMode] = frozenset()
    asked: list[SearchMode] = field(default_factory=list)

    async def search(self, collection: str, query: SearchQuery) -> tuple[Hit, ...]:
        self.asked.append(query.mode)
        hits = await super().search(collection, query)
        return hits[::-1] if query.mode in self.wrong else hits


async def compared(wrong: frozenset[SearchMode]) -> tuple[Comparison[Firsts], ModalStore]:
    store = ModalStore(wrong=wrong)
    await Ingester(store, FakeEmbedder(), by_lines()).ingest(
        "default", each(DOCUMENTS), lambda _: None
    )
    retriever = Retriever(store, FakeEmbedder(), score_threshold=0.99)
    found = await compare_modes(retriever, "default", QUESTIONS, JUDGEMENTS, firsts, cutoff=2)
    return found, store


async def test_every_question_is_asked_in_every_mode_without_a_threshold() -> None:
    found, store = await compared(frozenset())
    assert sorted(store.asked) == ["dense", "dense", "hybrid", "hybrid", "sparse", "sparse"]
    assert {query.score_threshold for query in store.queries} == {None}
    assert found.qualities == dict.fromkeys(("dense", "sparse", "hybrid"), Firsts(1.0))


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
    seen: list[Rankings] = []

    def remember(rankings: Rankings, judgements: Mapping[str, Mapping[str, int]], _: int) -> Firsts:
        seen.append(rankings)
        return Firsts(0)

    store = FakeStore()
    await Ingester(store, FakeEmbedder(), by_lines()).ingest(
        "default", each(DOCUMENTS), lambda _: None
    )
    retriever = Retriever(store, FakeEmbedder())
    await compare_modes(retriever, "default", QUESTIONS, JUDGEMENTS, remember)
    assert seen[0]["q1"][0] == "cats"
    assert sorted(seen[0]["q1"]) == ["cats", "dogs", "tax"]
