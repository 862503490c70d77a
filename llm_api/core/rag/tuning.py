"""How a collection is best searched: found on questions whose answers are known. Pure.

1. `SearchCandidates`: a question is searched once, for the best of both rankings with both scores.
2. `try_all` ranks them in every way that there is to choose from, and keeps what came of each.
3. `tune` chooses, and says how well it chooses for questions that it has not seen.

What is chosen by some questions fits these best by luck alone. So the questions are dealt into
folds; each fold is measured with what the others choose, and only a gain that is more than chance
among those measures counts as one.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias
from zlib import crc32

import numpy as np
import numpy.typing as npt

from llm_api.core.rag.evaluation import Grades, ndcg
from llm_api.core.rag.fusion import SMOOTHED, fuse, smooth
from llm_api.core.rag.retrieve import choose_diverse
from llm_api.core.rag.vector_store import (
    NEIGHBOURS,
    USUAL_WEIGHTS,
    Hit,
    HybridWeights,
    SearchMode,
    Vector,
)

Figures: TypeAlias = npt.NDArray[np.float64]

SHARES: Final = (0.0, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 1.0)
"""Of the embedding: 0 is mode `sparse`, 1 is `dense`."""
DIVERSITIES: Final = (0.0, 0.1, 0.3)
THRESHOLDS: Final = (-1.0, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.5)
"""Of the cosine: -1 keeps all."""
COUNTS: Final = (0, NEIGHBOURS)
"""Of neighbours."""
LEAST_TOP_K: Final = 3
"""What answers a question that is asked otherwise may stand in the second hit."""
MAX_TOP_K: Final = 20

DIVERSIFIED: Final = 30
FOLDS: Final = 5
LEAST_QUESTIONS: Final = 10
"""Fewer say nothing of the questions to come."""

WAYS: Final = len(SHARES), len(COUNTS), len(DIVERSITIES), len(THRESHOLDS)
"""How many there are of each, which is how figures of all ways to search are laid out."""

LOSS: Final = 0.002
"""What a threshold may take of the nDCG."""
FOUND: Final = 0.95
"""What `top_k` chunks have to find of all that MAX_TOP_K find."""
SURE: Final = 1.645
"""Standard errors that a gain has to be above 0: once in twenty, chance alone does that."""


@dataclass(frozen=True, slots=True)
class SearchChoice:
    """How to search. `share` is that of the embedding."""

    share: float = USUAL_WEIGHTS.embedding
    diversity: float = 0.0
    threshold: float = -1.0
    top_k: int = MAX_TOP_K
    neighbours: int = NEIGHBOURS

    @property
    def mode(self) -> SearchMode:
        return "sparse" if self.share == 0 else "dense" if self.share == 1 else "hybrid"

    @property
    def weights(self) -> HybridWeights:
        return HybridWeights(self.share, round(1 - self.share, 6))

    @property
    def score_threshold(self) -> float | None:
        """None in mode `sparse`, whose scores are no cosines."""
        return None if self.mode == "sparse" else self.threshold


@dataclass(frozen=True, slots=True, eq=False)
class SearchCandidates:
    """The chunks that one question may find: of which document, and both scores of each."""

    documents: Sequence[str]
    dense: Vector
    sparse: Vector
    vectors: Sequence[Vector]

    @staticmethod
    def of(hits: Sequence[Hit]) -> "SearchCandidates":
        """`hits` of a hybrid search, with their vectors."""
        return SearchCandidates(
            [hit.chunk.document_id for hit in hits],
            np.array([hit.dense_score for hit in hits], np.float32),
            np.array([hit.sparse_score for hit in hits], np.float32),
            [hit.vector for hit in hits if hit.vector is not None],
        )

    def ranked(
        self, share: float, neighbours: int, diversity: float, count: int = DIVERSIFIED
    ) -> list[int]:
        """Their positions, best first, of which `count` are chosen for their diversity."""
        scores = fuse(self.dense, self.sparse, (share, 1 - share))
        order = _descending(scores)
        if neighbours and 0 < share < 1:
            first = order[:SMOOTHED]
            scores[first] = smooth(scores[first], self._vectors(first), neighbours)
            order = _descending(scores)
        if share == 0:
            order = [one for one in order if self.sparse[one] > 0]
        if not diversity:
            return order
        first = order[:DIVERSIFIED]
        vectors = [self.vectors[one] for one in first]
        chosen = choose_diverse(scores[first].tolist(), vectors, diversity, count)
        diverse = [first[one] for one in chosen]
        return list(dict.fromkeys([*diverse, *order]))

    def _vectors(self, positions: Sequence[int]) -> npt.NDArray[np.float32]:
        return np.stack([self.vectors[one] for one in positions] or [np.zeros(1, np.float32)])


def _descending(scores: Vector) -> list[int]:
    return [int(position) for position in np.argsort(-scores, kind="stable")]


@dataclass(frozen=True, slots=True, eq=False)
class SearchTrial:
    """What became of one question, in every way to search.

    `ndcg` by share, count of neighbours, diversity and threshold; `found` by share, count and
    `top_k` - 1: the part of the relevant documents that so many chunks hold.
    """

    ndcg: Figures
    found: Figures


def try_all(candidates: SearchCandidates, grades: Grades, cutoff: int) -> SearchTrial:
    """Some ten milliseconds. Documents rank where their best chunk does."""
    scores = np.zeros(WAYS)
    found = np.zeros((*WAYS[:2], MAX_TOP_K))
    for way in np.ndindex(WAYS[:3]):
        share, count, diversity = SHARES[way[0]], COUNTS[way[1]], DIVERSITIES[way[2]]
        order = candidates.ranked(share, count, diversity, cutoff)
        if diversity == 0:
            found[way[:2]] = _found([candidates.documents[one] for one in order], grades)
        for layer, threshold in enumerate(THRESHOLDS):
            passing = [one for one in order if share == 0 or candidates.dense[one] >= threshold]
            ranking = [candidates.documents[one] for one in passing]
            scores[(*way, layer)] = ndcg(ranking, grades, cutoff)
    return SearchTrial(scores, found)


def _found(ranking: Sequence[str], grades: Grades) -> Figures:
    relevant = {document for document, grade in grades.items() if grade > 0}
    seen: set[str] = set()
    shares = []
    for document in [*ranking, *[""] * MAX_TOP_K][:MAX_TOP_K]:
        seen.add(document)
        shares.append(len(seen & relevant) / len(relevant))
    return np.array(shares)


@dataclass(frozen=True, slots=True)
class Tuning:
    """What fits the questions best, and what that is worth for others.

    `ndcg` and `before` are means over the questions: each measured with what the other folds
    choose, and with `before`. `gain` is their difference, `error` its standard error.
    """

    choice: SearchChoice
    questions: int
    ndcg: float
    before: float
    gain: float
    error: float

    @property
    def is_better(self) -> bool:
        """Whether the gain is more than chance."""
        return self.gain > SURE * self.error


def tune(trials: Mapping[str, SearchTrial], before: SearchChoice) -> Tuning:
    """`trials` by question. Raises ValueError where there are fewer than LEAST_QUESTIONS."""
    scores, found = _stacked(trials)
    unseen = _unseen(scores, found, before)
    usual = _of(before, scores)
    gains = unseen - usual
    error = float(gains.std(ddof=1)) / math.sqrt(len(gains))
    choice = _choose(scores, found, before)
    means = float(unseen.mean()), float(usual.mean()), float(gains.mean())
    return Tuning(choice, len(gains), *means, error)


def unseen_scores(trials: Mapping[str, SearchTrial], before: SearchChoice) -> Figures:
    """What each question reaches with what the other folds choose, in an order of their own.

    Raises as `tune`.
    """
    return _unseen(*_stacked(trials), before)


def _stacked(trials: Mapping[str, SearchTrial]) -> tuple[Figures, Figures]:
    if len(trials) < LEAST_QUESTIONS:
        raise ValueError(f"tuning needs {LEAST_QUESTIONS} questions at least")
    ordered = [trials[question] for question in sorted(trials, key=lambda one: crc32(one.encode()))]
    scores = np.stack([trial.ndcg for trial in ordered])
    return scores, np.stack([trial.found for trial in ordered])


def _unseen(scores: Figures, found: Figures, before: SearchChoice) -> Figures:
    folds = np.arange(len(scores)) % FOLDS
    unseen = np.zeros(len(scores))
    for fold in range(FOLDS):
        is_held_out = folds == fold
        choice = _choose(scores[~is_held_out], found[~is_held_out], before)
        unseen[is_held_out] = _of(choice, scores)[is_held_out]
    return unseen


def _choose(scores: Figures, found: Figures, before: SearchChoice) -> SearchChoice:
    """What fits these questions best; what was there before where nothing is surely better."""
    plain = scores[..., 0]
    row, column, layer = map(int, np.unravel_index(np.argmax(plain.mean(axis=0)), WAYS[:3]))
    gains = plain[:, row, column, layer] - _of(before, scores)
    if gains.mean() <= gains.std() / math.sqrt(len(gains)):
        row, column, layer, _ = _place(before)
    by_threshold = scores[:, row, column, layer].mean(axis=0)
    least = by_threshold[0] * (1 - LOSS)
    threshold = max(
        one for one, mean in zip(THRESHOLDS, by_threshold, strict=True) if mean >= least
    )
    by_count = found[:, row, column].mean(axis=0)
    top_k = max(LEAST_TOP_K, 1 + int(np.argmax(by_count >= FOUND * by_count[-1])))
    return SearchChoice(SHARES[row], DIVERSITIES[layer], threshold, top_k, COUNTS[column])


def _of(choice: SearchChoice, scores: Figures) -> Figures:
    """By question."""
    share, count, diversity, threshold = _place(choice)
    return scores[:, share, count, diversity, threshold]


def _place(choice: SearchChoice) -> tuple[int, int, int, int]:
    """Where its nDCG stands. The threshold may be one of those between two that were tried."""
    lower = (one for one in THRESHOLDS if one <= choice.threshold)
    threshold = max(lower, default=THRESHOLDS[0])
    return (
        SHARES.index(choice.share),
        COUNTS.index(choice.neighbours),
        DIVERSITIES.index(choice.diversity),
        THRESHOLDS.index(threshold),
    )
