"""Evals: every question is searched once, each mode is judged, and what is better is kept."""

from dataclasses import dataclass

import numpy as np
import pytest

from llm_api.core.errors import InvalidRequestError
from llm_api.core.rag.evals import SearchEvals, apply, evaluate_search
from llm_api.core.rag.evaluation import Quality
from llm_api.core.rag.retrieve import Retriever
from llm_api.core.rag.types import Chunk, Span
from llm_api.core.rag.vector_store import USUAL_WEIGHTS, Hit, SearchQuery, TunedSearch
from tests.core.rag.fakes import FakeEmbedder, FakeStore

NAMES = [f"d{number}" for number in range(20)]


@dataclass
class TwoRankings(FakeStore):
    """The document that a question names is the best by meaning, or by words; or in neither."""

    by_meaning: bool = True
    by_words: bool = True

    async def search(self, collection: str, query: SearchQuery) -> tuple[Hit, ...]:
        assert query.takes_all
        self.queries.append(query)
        number = NAMES.index(query.text)
        order = np.random.default_rng(number).permutation(len(NAMES)).tolist()
        return tuple(
            Hit(
                Chunk(name, name, 0, name, Span(0, 1)),
                name,
                {},
                0.5,
                dense_score=0.72
                if self.by_meaning and place == number
                else 0.5 + order[place] / 99,
                sparse_score=29.0 if self.by_words and place == number else float(order[-place]),
                vector=np.array([1, 0], np.float32),
            )
            for place, name in enumerate(NAMES)
        )


async def evals(store: FakeStore, names: list[str] = NAMES) -> SearchEvals:
    retriever = Retriever(store, FakeEmbedder(), score_threshold=0.1)
    questions = {name: name for name in names}
    return await evaluate_search(retriever, "c", questions, {one: {one: 1} for one in names}, 3)


async def test_one_search_for_each_question_judges_every_mode() -> None:
    store = TwoRankings(by_words=False)
    found = await evals(store)
    assert [query.text for query in store.queries] == NAMES
    qualities = found.comparison.qualities
    assert qualities["dense"] == Quality(3, len(NAMES), recall=1.0, mrr=1.0, ndcg=1.0)
    assert qualities["sparse"].ndcg < qualities["hybrid"].ndcg
    assert found.comparison.best == "dense"


async def test_what_is_surely_better_is_kept() -> None:
    store = TwoRankings(by_words=False)
    found = await evals(store)
    assert await apply(store, "c", found, now=7.0)
    tuned = store.tuned["c"]
    assert tuned.weights.embedding > 0.5
    assert (tuned.questions, tuned.ndcg, tuned.tuned_at) == (len(NAMES), 1.0, 7.0)
    assert tuned.ndcg_before < 1.0


async def test_usual_search_is_kept_where_nothing_is_better() -> None:
    store = TwoRankings()
    store.tuned["c"] = TunedSearch(
        "dense", USUAL_WEIGHTS, None, 1, 0.0, 6, 10, 0.5, 0.4, tuned_at=0.0
    )
    assert not await apply(store, "c", await evals(store), now=7.0)
    assert store.tuned == {}


async def test_few_questions_are_measured_and_tune_nothing() -> None:
    store = TwoRankings(by_words=False)
    found = await evals(store, NAMES[:9])
    assert found.tuning is None
    assert found.comparison.best == "dense"
    with pytest.raises(InvalidRequestError, match="10 different questions"):
        await apply(store, "c", found, now=7.0)


async def test_nothing_relevant_is_no_quality() -> None:
    retriever = Retriever(TwoRankings(), FakeEmbedder())
    with pytest.raises(ValueError, match="no question"):
        await evaluate_search(retriever, "c", {"q": "d1"}, {"q": {"d1": 0}})
