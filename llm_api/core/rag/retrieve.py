"""A question to the chunks that may answer it: embed, search, judge again, drop repetitions."""

import asyncio
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain, zip_longest
from typing import Final, Literal, TypeAlias

import numpy as np

from llm_api.core.embeddings.embedder import Embedder, EmbeddingRequest
from llm_api.core.embeddings.reranker import Reranker, RerankRequest
from llm_api.core.errors import ContextLengthExceededError, UnsupportedParameterError
from llm_api.core.rag.filters import EVERYTHING, Filter
from llm_api.core.rag.reports import StageTimes
from llm_api.core.rag.vector_store import (
    NEIGHBOURS,
    USUAL_WEIGHTS,
    Hit,
    HybridWeights,
    QueryVector,
    SearchMode,
    SearchQuery,
    TunedSearch,
    Vector,
    VectorStore,
)

NO_THRESHOLD: Final = -math.inf
CANDIDATES = 30
"""Hits that are judged again, at least: a cross-encoder reads them in half a second."""

MEASURED: Final[Mapping[str, float]] = {"all-MiniLM-L6-v2": 0.25}
"""The cosine below which a chunk says nothing about a question, by embedding model.

`python -m scripts.rag.score_threshold` measures it. all-MiniLM-L6-v2 on Cranfield, with texts of
STS-B as questions that it does not cover: at 0.25 none of the 225 questions loses its best
document, and 88 % of the others find nothing (0.20: 45 %; 0.30: 96 %, and one of the 225 is lost).
With both collections in each other's place: 0.3 % lost, 86 % refused.
"""


Expansion: TypeAlias = Literal["wordings", "answer", "parts"]
"""What a model makes of a question, to be searched for beside it."""

Tunable: TypeAlias = Literal["mode", "score_threshold", "top_k", "diversity"]
"""What a collection may be tuned to; weights and neighbours go with the mode."""

HOW: Final[frozenset[Tunable]] = frozenset({"mode", "score_threshold", "diversity"})
"""What is `unsaid` where a request says how many it wants, and nothing of how to search."""


@dataclass(frozen=True, slots=True)
class SearchOptions:
    """How to search. `score_threshold` None is the default: see `Retriever`.

    `weights` are for mode `hybrid`; None is USUAL_WEIGHTS. `unsaid` names what is the collection's
    choice where it has been tuned.
    `rerank` has the hits judged by a cross-encoder. `diversity` from 0 to 1 is how much hits lose
    by what they repeat of better ones. `neighbours` is how many of the chunks most like it say
    something of a chunk, in mode `hybrid`. `truncates` cuts a question that is too long for the
    embedder, instead of refusing it.
    """

    collection: str
    top_k: int
    mode: SearchMode = "hybrid"
    filter: Filter = EVERYTHING
    score_threshold: float | None = None
    rerank: bool = False
    diversity: float = 0.0
    truncates: bool = False
    weights: HybridWeights | None = None
    neighbours: int = NEIGHBOURS
    unsaid: frozenset[Tunable] = frozenset()
    expansion: Expansion | None = None


class Retriever:
    """Searches the collections of a store.

    Where a request names no threshold, `score_threshold` is that of the cosine, or else what was
    measured for the embedder. BM25 scores have no scale of their own: mode `sparse` has no default.
    """

    def __init__(
        self,
        store: VectorStore,
        embedder: Embedder,
        reranker: Reranker | None = None,
        score_threshold: float | None = None,
        times: StageTimes | None = None,
    ) -> None:
        self._store = store
        self._embedder = embedder
        self._reranker = reranker
        self._score_threshold = score_threshold
        self.times = times or StageTimes()

    def through(self, embedder: Embedder) -> "Retriever":
        """The same search with another way to the same embedding model."""
        return Retriever(self._store, embedder, self._reranker, self._score_threshold, self.times)

    def over(self, store: VectorStore) -> "Retriever":
        """The same search of another store."""
        return Retriever(store, self._embedder, self._reranker, self._score_threshold, self.times)

    @property
    def default_threshold(self) -> float | None:
        """That of the cosine where a request names none; None keeps everything."""
        if self._score_threshold is not None:
            return self._score_threshold
        return MEASURED.get(self._embedder.card.id)

    async def resolved(self, options: SearchOptions) -> SearchOptions:
        """The options with what the collection is tuned to, where the request has not said it."""
        if not options.unsaid:
            return options
        return tuned_options(options, await self._store.read_tuning(options.collection))

    async def candidates(self, question: str, options: SearchOptions) -> list[Hit]:
        """What stands high by meaning or by words, with both scores and the vector of each."""
        vector = await self._vector(question, replace(options, mode="hybrid"))
        query = SearchQuery(
            "hybrid",
            options.top_k,
            question,
            vector,
            options.filter,
            with_vectors=True,
            takes_all=True,
        )
        return list(await self._store.search(options.collection, query))

    async def search_all(
        self, question: str, also: Sequence[str], options: SearchOptions
    ) -> list[Hit]:
        """The best chunks for the question and what was made of it, best first.

        Parts of a question are answered by different chunks: each counts by the part that it
        answers best. Otherwise a chunk counts for the question as much as for all else together.
        Raises as `search`.
        """
        options = await self.resolved(options)
        deep = replace(options, top_k=max(CANDIDATES, options.top_k))
        asked = [question, *also]
        found = await asyncio.gather(*(self.search(one, deep) for one in asked))
        weights = None
        if options.expansion != "parts" and also:
            weights = [0.5, *[0.5 / len(also)] * len(also)]
        return merged(found, weights)[: options.top_k]

    async def search(self, question: str, options: SearchOptions) -> list[Hit]:
        """The best chunks for the question, best first.

        Raises UnsupportedParameterError for `rerank` without a reranker, and what embedder and
        store raise.
        """
        options = await self.resolved(options)
        if options.rerank and self._reranker is None:
            raise UnsupportedParameterError(
                "This server has no reranking model; set RERANK_MODEL.", param="rerank"
            )
        is_judged_again = options.rerank or options.diversity > 0
        query = SearchQuery(
            mode=options.mode,
            top_k=max(CANDIDATES, 2 * options.top_k) if is_judged_again else options.top_k,
            text=question,
            vector=await self._vector(question, options),
            filter=options.filter,
            score_threshold=self._threshold(options),
            with_vectors=options.diversity > 0,
            weights=options.weights or USUAL_WEIGHTS,
            neighbours=options.neighbours,
        )
        with self.times.search["search"].timed():
            hits = list(await self._store.search(options.collection, query))
        self.times.searched[options.collection] = time.time()
        if options.rerank and self._reranker is not None:
            with self.times.search["rerank"].timed():
                hits = await _reranked(self._reranker, question, hits)
        if options.diversity > 0:
            hits = _diverse(hits, options)
        return [replace(hit, collection=options.collection) for hit in hits[: options.top_k]]

    async def _vector(self, question: str, options: SearchOptions) -> QueryVector | None:
        if options.mode == "sparse":
            return None
        request = EmbeddingRequest([question], input_type="query", truncates=options.truncates)
        try:
            with self.times.search["embed"].timed():
                embeddings = await self._embedder.embed(request)
        except ContextLengthExceededError as error:
            raise ContextLengthExceededError(
                "The question is longer than the embedding model reads; shorten it, or search in"
                " mode 'sparse'.",
                param="query",
            ) from error
        return QueryVector(self._embedder.card.id, embeddings.vectors[0])

    def _threshold(self, options: SearchOptions) -> float | None:
        threshold = options.score_threshold
        if threshold is None and options.mode != "sparse":
            threshold = self.default_threshold
        return None if threshold == NO_THRESHOLD else threshold


def merged(found: Sequence[Sequence[Hit]], weights: Sequence[float] | None) -> list[Hit]:
    """Hits of several searches, each once, by scores relative to the best of each search. Pure.

    Scores are added by the weights; without, a hit has its highest. It is shown as it was found
    first.
    """
    hits: dict[str, Hit] = {}
    scores: dict[str, float] = {}
    for number, one in enumerate(found):
        best = max((hit.score for hit in one), default=0.0)
        for hit in one:
            id = hit.chunk.id
            hits.setdefault(id, hit)
            relative = hit.score / best if best > 0 else 0.0
            if weights is None:
                scores[id] = max(scores.get(id, 0.0), relative)
            else:
                scores[id] = scores.get(id, 0.0) + weights[number] * relative
    ordered = sorted(hits, key=lambda id: scores[id], reverse=True)
    return [replace(hits[id], score=scores[id]) for id in ordered]


def in_turn(rankings: Sequence[Sequence[Hit]]) -> list[Hit]:
    """Hits of several questions or collections: the first of each, the second, and so on. Pure.

    A chunk of a collection stands there once. Scores of two collections do not compare.
    """
    hits: dict[tuple[str, str], Hit] = {}
    for hit in chain.from_iterable(zip_longest(*rankings)):
        if hit is not None:
            hits.setdefault((hit.collection, hit.chunk.id), hit)
    return list(hits.values())


def tuned_options(options: SearchOptions, tuned: TunedSearch | None) -> SearchOptions:
    """Pure. A threshold is a cosine: mode `sparse`, where it is said, has none of it."""
    unsaid, options = options.unsaid, replace(options, unsaid=frozenset())
    if tuned is None:
        return options
    if "mode" in unsaid:
        options = replace(
            options, mode=tuned.mode, weights=tuned.weights, neighbours=tuned.neighbours
        )
    if "score_threshold" in unsaid and options.mode != "sparse":
        options = replace(options, score_threshold=tuned.score_threshold)
    if "top_k" in unsaid:
        options = replace(options, top_k=tuned.top_k)
    if "diversity" in unsaid:
        options = replace(options, diversity=tuned.diversity)
    return options


async def _reranked(reranker: Reranker, question: str, hits: Sequence[Hit]) -> list[Hit]:
    judgement = await reranker.judge(RerankRequest(question, [hit.chunk.text for hit in hits]))
    judged = [
        replace(hit, score=score, rerank_score=score)
        for hit, score in zip(hits, judgement.relevance.tolist(), strict=True)
    ]
    return sorted(judged, key=lambda hit: hit.score, reverse=True)


def _diverse(hits: Sequence[Hit], options: SearchOptions) -> list[Hit]:
    vectors = [hit.vector for hit in hits if hit.vector is not None]
    scores = [hit.score for hit in hits]
    chosen = choose_diverse(scores, vectors, options.diversity, options.top_k)
    return [hits[position] for position in chosen]


def choose_diverse(
    relevance: Sequence[float], vectors: Sequence[Vector], diversity: float, count: int
) -> list[int]:
    """Positions of at most `count` items, best first: maximal marginal relevance. Pure.

    Each is the one with the most of `(1 - diversity) * relevance - diversity * similarity`, where
    the similarity is its cosine with the most similar one chosen before. `diversity` 0 is the order
    of relevance, 1 looks at nothing but similarity. Relevance is scaled to 0..1 first, so it may
    be any score. `vectors` have length 1, or 0. The rule is Carbonell and Goldstein's (1998).
    """
    if not relevance:
        return []
    worth = (1 - diversity) * _scaled(np.asarray(relevance, dtype=np.float32))
    cosines = np.stack(vectors) @ np.stack(vectors).T
    chosen = [int(np.argmax(relevance))]
    while len(chosen) < min(count, len(relevance)):
        gain = worth - diversity * cosines[:, chosen].max(axis=1)
        gain[chosen] = -np.inf
        chosen.append(int(np.argmax(gain)))
    return chosen


def _scaled(scores: Vector) -> Vector:
    low, high = scores.min(), scores.max()
    return (scores - low) / (high - low) if high > low else np.ones_like(scores)
