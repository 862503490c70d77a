"""Points ranked for a question: by their vectors, by their words, or by both."""

import asyncio
from dataclasses import dataclass

import numpy as np

from llm_api.core.rag.bm25 import SparseVector
from llm_api.core.rag.fusion import SMOOTHED, fuse, smooth
from llm_api.core.rag.stores.points import Condition, HasId, Points
from llm_api.core.rag.vector_store import (
    NEIGHBOURS,
    USUAL_WEIGHTS,
    HybridWeights,
    SearchMode,
    Vector,
)

FUSION_DEPTH = 50
"""How deep both rankings are read at least before they are fused: 100 finds no more."""


@dataclass(frozen=True, slots=True)
class Ranked:
    """A point and its scores. None: the mode does not compute it."""

    id: str
    score: float
    dense: float | None
    sparse: float | None


@dataclass(frozen=True, slots=True, eq=False)
class Question:
    """What to rank by. `dense` and `sparse` are there as far as `mode` needs them."""

    mode: SearchMode
    dense: Vector | None
    sparse: SparseVector | None
    top_k: int
    score_threshold: float | None
    weights: HybridWeights = USUAL_WEIGHTS
    takes_all: bool = False
    neighbours: int = NEIGHBOURS


async def rank(points: Points, question: Question, where: Condition) -> list[Ranked]:
    """The best points, best first."""
    match question:
        case Question(mode="dense", dense=dense) if dense is not None:
            scores = await points.nearest(dense, question.top_k, where)
            ranked = [Ranked(id_, score, score, None) for id_, score in scores.items()]
            return [one for one in ranked if _passes(one.dense, question)]
        case Question(mode="sparse", sparse=sparse) if sparse is not None:
            scores = await _by_words(points, sparse, question.top_k, where)
            ranked = [Ranked(id_, score, None, score) for id_, score in scores.items()]
            return [one for one in ranked if _passes(one.sparse, question)]
        case Question(mode="hybrid", dense=dense, sparse=sparse) if not (
            dense is None or sparse is None
        ):
            return await _rank_by_both(points, dense, sparse, question, where)
        case _:
            raise ValueError(f"mode {question.mode!r} lacks what it searches by")


async def _rank_by_both(
    points: Points, dense: Vector, sparse: SparseVector, question: Question, where: Condition
) -> list[Ranked]:
    """Both rankings fused. A chunk of one ranking gets its score in the other as well."""
    depth = max(FUSION_DEPTH, 2 * question.top_k)
    by_vector, by_words = await asyncio.gather(
        points.nearest(dense, depth, where), _by_words(points, sparse, depth, where)
    )
    more_by_vector, more_by_words = await asyncio.gather(
        _complete(points, dense, by_words.keys() - by_vector.keys()),
        _complete(points, sparse, by_vector.keys() - by_words.keys()),
    )
    by_vector, by_words = by_vector | more_by_vector, by_words | more_by_words
    ids = [id_ for id_ in by_vector.keys() | by_words.keys() if id_ in by_vector]
    scores = fuse(
        np.array([by_vector[id_] for id_ in ids], np.float32),
        np.array([by_words.get(id_, 0.0) for id_ in ids], np.float32),
        question.weights.shares,
    )
    fused = sorted(zip(scores.tolist(), ids, strict=True), reverse=True)
    ranked = [
        Ranked(id_, score, by_vector[id_], by_words.get(id_, 0.0))
        for score, id_ in await _smoothed(points, fused, question)
    ]
    passing = [one for one in ranked if _passes(one.dense, question)]
    return passing if question.takes_all else passing[: question.top_k]


async def _smoothed(
    points: Points, fused: list[tuple[float, str]], question: Question
) -> list[tuple[float, str]]:
    """The best in the order that their neighbours give them; one ranking alone stays as it is."""
    if not (question.neighbours and all(question.weights.shares)):
        return fused
    first = [id_ for _, id_ in fused[:SMOOTHED]]
    found = await points.vectors(first)
    nothing = np.zeros_like(question.dense, np.float32)
    vectors = np.stack([found.get(id_, nothing) for id_ in first] or [nothing])
    scores = np.array([score for score, _ in fused[:SMOOTHED]], np.float32)
    smoothed = smooth(scores, vectors, question.neighbours).tolist()
    return sorted(zip(smoothed, first, strict=True), reverse=True) + fused[SMOOTHED:]


async def _by_words(
    points: Points, sparse: SparseVector, limit: int, where: Condition
) -> dict[str, float]:
    return await points.nearest(sparse, limit, where) if sparse.indices else {}


async def _complete(
    points: Points, query: Vector | SparseVector, missing: set[str]
) -> dict[str, float]:
    if not missing or (isinstance(query, SparseVector) and not query.indices):
        return {}
    return await points.nearest(query, len(missing), HasId(tuple(sorted(missing))))


def _passes(score: float | None, question: Question) -> bool:
    threshold = question.score_threshold
    return threshold is None or (score is not None and score >= threshold)
