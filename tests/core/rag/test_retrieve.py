import math
from dataclasses import dataclass, field, replace

import numpy as np
import pytest

from llm_api.core.embeddings.embedder import EmbedderCard
from llm_api.core.embeddings.reranker import Judgement, RerankRequest
from llm_api.core.errors import ContextLengthExceededError, UnsupportedParameterError
from llm_api.core.rag.filters import Comparison
from llm_api.core.rag.ingest import Ingester, each
from llm_api.core.rag.retrieve import (
    CANDIDATES,
    NO_THRESHOLD,
    Expansion,
    Retriever,
    SearchOptions,
    Tunable,
    choose_diverse,
    merged,
)
from llm_api.core.rag.types import Chunk, Document, Span
from llm_api.core.rag.vector_store import USUAL_WEIGHTS, Hit, HybridWeights, TunedSearch, Vector
from tests.core.rag.fakes import DIMENSION, MODEL, FakeEmbedder, FakeStore, by_lines

DOCUMENTS = [
    Document("cat", "the cat sleeps on the sofa", "Cats", {"kind": "pet"}),
    Document("cat2", "the cat sleeps on the sofa today"),
    Document("dog", "the dog barks at the cat"),
    Document("tax", "income declarations"),
]
OPTIONS = SearchOptions("default", top_k=3, mode="dense")


@dataclass
class ByLength:
    """Judges texts by their length: the shortest is the best."""

    asked: str = ""

    card: EmbedderCard = field(default_factory=lambda: EmbedderCard("by-length", 0, "tests"))

    async def judge(self, request: RerankRequest) -> Judgement:
        self.asked = request.question
        scores = np.array([-float(len(text)) for text in request.texts])
        return Judgement(scores, scores, tokens=0)


async def filled() -> FakeStore:
    store = FakeStore()
    ingester = Ingester(store, FakeEmbedder(), by_lines())
    await ingester.ingest("default", each(DOCUMENTS), lambda _: None)
    return store


async def documents_for(
    question: str, options: SearchOptions = OPTIONS, reranker: ByLength | None = None
) -> list[str]:
    retriever = Retriever(await filled(), FakeEmbedder(), reranker)
    found = await retriever.search(question, options)
    return [one.chunk.document_id for one in found]


async def test_best_chunks_come_first() -> None:
    assert await documents_for("the cat sleeps on the sofa") == ["cat", "cat2", "dog"]


async def test_question_is_embedded_as_a_query() -> None:
    embedder = FakeEmbedder()
    await Retriever(await filled(), embedder).search("cat", OPTIONS)
    (request,) = embedder.requests
    assert (request.inputs, request.input_type) == (["cat"], "query")


async def test_sparse_search_embeds_nothing() -> None:
    embedder, store = FakeEmbedder(), await filled()
    await Retriever(store, embedder).search("cat", replace(OPTIONS, mode="sparse"))
    assert embedder.requests == []
    assert (store.queries[0].text, store.queries[0].vector) == ("cat", None)


async def test_filter_mode_and_model_reach_the_store() -> None:
    store, filter_ = await filled(), Comparison("kind", "eq", ("pet",))
    await Retriever(store, FakeEmbedder()).search(
        "cat", replace(OPTIONS, mode="hybrid", filter=filter_)
    )
    (query,) = store.queries
    assert (query.mode, query.filter, query.top_k) == ("hybrid", filter_, 3)
    assert query.vector is not None
    assert query.vector.model == MODEL


async def test_weights_reach_the_store_and_are_the_usual_ones_where_none_are_given() -> None:
    store, weights = await filled(), HybridWeights(3, 1)
    retriever = Retriever(store, FakeEmbedder())
    for given in (None, weights):
        await retriever.search("cat", replace(OPTIONS, mode="hybrid", weights=given))
    assert [query.weights for query in store.queries] == [USUAL_WEIGHTS, weights]
    assert weights.shares == (0.75, 0.25)


@pytest.mark.parametrize(
    ("model", "setting", "options", "expected"),
    [
        ("all-MiniLM-L6-v2", None, OPTIONS, 0.25),
        ("all-MiniLM-L6-v2", None, replace(OPTIONS, mode="hybrid"), 0.25),
        ("all-MiniLM-L6-v2", None, replace(OPTIONS, mode="sparse"), None),
        ("all-MiniLM-L6-v2", 0.1, OPTIONS, 0.1),
        ("all-MiniLM-L6-v2", 0.0, OPTIONS, 0.0),
        ("all-MiniLM-L6-v2", 0.1, replace(OPTIONS, mode="sparse"), None),
        ("all-MiniLM-L6-v2", 0.1, replace(OPTIONS, score_threshold=0.6), 0.6),
        ("all-MiniLM-L6-v2", 0.1, replace(OPTIONS, score_threshold=NO_THRESHOLD), None),
        ("all-MiniLM-L6-v2", None, replace(OPTIONS, mode="sparse", score_threshold=3), 3),
        ("unknown", None, OPTIONS, None),
        ("unknown", 0.4, OPTIONS, 0.4),
    ],
)
async def test_threshold_is_the_requests_the_settings_or_the_measured_one(
    model: str, setting: float | None, options: SearchOptions, expected: float | None
) -> None:
    store = await filled()
    embedder = FakeEmbedder(EmbedderCard(model, 0, "tests", dimension=DIMENSION))
    await Retriever(store, embedder, score_threshold=setting).search("cat", options)
    assert store.queries[0].score_threshold == expected


TUNED = TunedSearch("hybrid", HybridWeights(3, 1), 0.15, 7, 0.2, 3, 40, 0.6, 0.5, tuned_at=0.0)
ALL: frozenset[Tunable] = frozenset({"mode", "score_threshold", "top_k", "diversity"})


@pytest.mark.parametrize(
    ("options", "searched"),
    [
        (OPTIONS, OPTIONS),
        (
            replace(OPTIONS, unsaid=ALL),
            SearchOptions(
                "default",
                7,
                "hybrid",
                score_threshold=0.15,
                diversity=0.2,
                weights=HybridWeights(3, 1),
                neighbours=3,
            ),
        ),
        (replace(OPTIONS, unsaid=frozenset({"top_k"})), replace(OPTIONS, top_k=7)),
        (
            replace(OPTIONS, mode="sparse", unsaid=frozenset({"score_threshold"})),
            replace(OPTIONS, mode="sparse"),
        ),
    ],
)
async def test_collection_is_searched_as_it_is_tuned_where_nothing_is_said(
    options: SearchOptions, searched: SearchOptions
) -> None:
    store = await filled()
    retriever = Retriever(store, FakeEmbedder())
    assert await retriever.resolved(options) == replace(options, unsaid=frozenset())
    await store.write_tuning("default", TUNED)
    assert await retriever.resolved(options) == searched
    await retriever.search("cat", options)
    assert store.queries[-1].mode == searched.mode
    assert store.queries[-1].with_vectors == (searched.diversity > 0)


async def test_candidates_are_all_of_both_rankings_with_their_vectors() -> None:
    store = await filled()
    found = await Retriever(store, FakeEmbedder(), score_threshold=0.9).candidates("cat", OPTIONS)
    (query,) = store.queries
    assert (query.mode, query.takes_all, query.score_threshold) == ("hybrid", True, None)
    assert all(hit.vector is not None for hit in found)


async def test_reranker_has_the_last_word_over_more_candidates_than_are_asked_for() -> None:
    reranker = ByLength()
    options = replace(OPTIONS, top_k=1, rerank=True)
    assert await documents_for("the cat sleeps on the sofa", options, reranker) == ["tax"]
    assert reranker.asked == "the cat sleeps on the sofa"


async def test_reranked_hit_keeps_its_first_scores() -> None:
    retriever = Retriever(await filled(), FakeEmbedder(), ByLength())
    found = await retriever.search("income", replace(OPTIONS, rerank=True))
    assert found[0].score == found[0].rerank_score == -float(len("income declarations"))
    assert found[0].dense_score == pytest.approx(1 / math.sqrt(2))


async def test_reranking_without_a_model_is_refused() -> None:
    with pytest.raises(UnsupportedParameterError) as refusal:
        await documents_for("cat", replace(OPTIONS, rerank=True))
    assert refusal.value.param == "rerank"


async def test_diversity_leaves_out_what_repeats_a_better_hit() -> None:
    options = replace(OPTIONS, top_k=2, diversity=0.7)
    assert await documents_for("the cat sleeps on the sofa", options) == ["cat", "tax"]


async def test_as_many_as_asked_for_are_searched_where_nothing_is_judged_again() -> None:
    store = await filled()
    retriever = Retriever(store, FakeEmbedder(), ByLength())
    for options in (OPTIONS, replace(OPTIONS, diversity=0.1), replace(OPTIONS, rerank=True)):
        await retriever.search("cat", options)
    assert [query.top_k for query in store.queries] == [3, CANDIDATES, CANDIDATES]
    assert [query.with_vectors for query in store.queries] == [False, True, False]


async def test_question_that_is_too_long_is_refused_by_its_name() -> None:
    too_long = ContextLengthExceededError("input[0] has 300 tokens", param="input[0]")
    embedder = FakeEmbedder(failures={"cat": too_long})
    with pytest.raises(ContextLengthExceededError) as refusal:
        await Retriever(await filled(), embedder).search("cat", OPTIONS)
    assert refusal.value.param == "query"


def at(*degrees: float) -> list[Vector]:
    """Vectors of length 1 in these directions."""
    angles = np.radians(degrees)
    return [np.array([np.cos(one), np.sin(one)], dtype=np.float32) for one in angles]


TWINS_AND_ANOTHER = at(0, 1, 80)


@pytest.mark.parametrize(
    ("relevance", "diversity", "count", "chosen"),
    [
        ([0.9, 0.8, 0.5], 0.0, 3, [0, 1, 2]),
        ([0.9, 0.8, 0.5], 0.5, 3, [0, 2, 1]),
        ([0.9, 0.8, 0.5], 0.5, 2, [0, 2]),
        ([0.5, 0.8, 0.9], 1.0, 2, [2, 0]),
        ([9.0, 8.0, -50.0], 0.3, 2, [0, 1]),
        ([9.0, 8.0, 7.0], 0.6, 2, [0, 2]),
        ([0.7, 0.7, 0.7], 0.5, 2, [0, 2]),
    ],
)
def test_what_repeats_a_better_hit_comes_later(
    relevance: list[float], diversity: float, count: int, chosen: list[int]
) -> None:
    assert choose_diverse(relevance, TWINS_AND_ANOTHER, diversity, count) == chosen


def test_nothing_is_chosen_of_nothing() -> None:
    assert choose_diverse([], [], 0.5, 3) == []


def test_no_more_is_chosen_than_there_is() -> None:
    assert sorted(choose_diverse([1, 2, 3], TWINS_AND_ANOTHER, 0.5, 10)) == [0, 1, 2]


def hit(id: str, score: float) -> Hit:
    return Hit(Chunk(id, id, 0, id, Span(0, 1)), id, {}, score, score, None)


def test_hits_of_several_searches_are_added_by_their_weights() -> None:
    found = [[hit("a", 0.8), hit("b", 0.4)], [hit("b", 8.0), hit("c", 2.0)], []]
    by_weights = merged(found, [0.5, 0.25, 0.25])
    assert [(one.chunk.id, one.score) for one in by_weights] == [
        ("a", 0.5),
        ("b", 0.5 * 0.5 + 0.25),
        ("c", 0.25 * 0.25),
    ]
    assert [one.dense_score for one in by_weights] == [0.8, 0.4, 2.0]


def test_part_of_a_question_has_its_best_hit_first() -> None:
    found = [[hit("a", 0.8), hit("b", 0.6)], [hit("c", 0.3), hit("d", 0.1)]]
    assert [one.chunk.id for one in merged(found, None)] == ["a", "c", "b", "d"]
    assert merged([[], []], None) == []


@pytest.mark.parametrize("expansion", ["wordings", "answer", "parts"])
async def test_question_and_what_was_made_of_it_are_searched(expansion: Expansion) -> None:
    store = await filled()
    options = replace(OPTIONS, top_k=2, expansion=expansion)
    found = await Retriever(store, FakeEmbedder()).search_all("cat", ["income", "barks"], options)
    assert [query.text for query in store.queries] == ["cat", "income", "barks"]
    assert len(found) == 2
    ids = {one.chunk.document_id for one in found}
    assert ("tax" in ids) == (expansion == "parts")
