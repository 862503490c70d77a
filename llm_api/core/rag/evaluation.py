"""How well each way to search does on a collection: recall, MRR and nDCG of known answers.

The measures follow trec_eval. A judgement above 0 makes a document relevant, and its grade is its
gain; one of 0 or below, like none at all, makes it irrelevant. A document that is ranked twice
counts where it stands first.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from llm_api.core.rag.vector_store import SearchMode

Ranking: TypeAlias = Sequence[str]
"""Ids of documents, best first."""

Grades: TypeAlias = Mapping[str, int]
"""Id of a document to its grade for one question."""

Judgements: TypeAlias = Mapping[str, Grades]
"""Id of a question to the grade of each document that was judged for it."""

CHEAPEST_FIRST: Final[tuple[SearchMode, ...]] = ("sparse", "dense", "hybrid")


@dataclass(frozen=True, slots=True)
class Quality:
    """Means over the questions, each from 0 to 1. Only the first `cutoff` documents count."""

    cutoff: int
    questions: int
    recall: float
    mrr: float
    ndcg: float


@dataclass(frozen=True, slots=True)
class ModeComparison:
    """What each mode reaches. `best` has the highest nDCG; of equals the one that costs least."""

    qualities: Mapping[SearchMode, Quality]
    best: SearchMode


def compare(
    rankings: Mapping[SearchMode, Mapping[str, Ranking]], judgements: Judgements, cutoff: int
) -> ModeComparison:
    """`rankings` by mode and question. Raises as `evaluate`."""
    qualities = {mode: evaluate(rankings[mode], judgements, cutoff) for mode in CHEAPEST_FIRST}
    return ModeComparison(qualities, max(CHEAPEST_FIRST, key=lambda mode: qualities[mode].ndcg))


def evaluate(rankings: Mapping[str, Ranking], judgements: Judgements, cutoff: int) -> Quality:
    """Means over every question that has a relevant document; without a ranking it counts as 0.

    Raises ValueError where no question has a relevant document.
    """
    asked = {question: grades for question, grades in judgements.items() if _gains(grades.values())}
    if not asked:
        raise ValueError("no question has a relevant document")
    answered = [(rankings.get(question, ()), grades) for question, grades in asked.items()]
    return Quality(
        cutoff,
        len(asked),
        recall=_mean(recall(ranking, grades, cutoff) for ranking, grades in answered),
        mrr=_mean(reciprocal_rank(ranking, grades, cutoff) for ranking, grades in answered),
        ndcg=_mean(ndcg(ranking, grades, cutoff) for ranking, grades in answered),
    )


def recall(ranking: Ranking, grades: Grades, cutoff: int) -> float:
    """The share of the relevant documents that is among the first."""
    found = sum(grade > 0 for grade in _graded(ranking, grades, cutoff))
    relevant = len(_gains(grades.values()))
    return found / relevant if relevant else 0.0


def reciprocal_rank(ranking: Ranking, grades: Grades, cutoff: int) -> float:
    """1 / rank of the first relevant document, 0 without one."""
    ranked = enumerate(_graded(ranking, grades, cutoff), 1)
    return next((1 / rank for rank, grade in ranked if grade > 0), 0.0)


def ndcg(ranking: Ranking, grades: Grades, cutoff: int) -> float:
    """Discounted cumulative gain, as a share of what the best ranking has.

    Gains are linear and discounted by log2(rank + 1): Järvelin and Kekäläinen 2002, as trec_eval
    computes `ndcg_cut`.
    """
    best = sorted(_gains(grades.values()), reverse=True)[:cutoff]
    return _discounted(_graded(ranking, grades, cutoff)) / _discounted(best) if best else 0.0


def _graded(ranking: Ranking, grades: Grades, cutoff: int) -> list[int]:
    first = list(dict.fromkeys(ranking))[:cutoff]
    return [max(0, grades.get(document, 0)) for document in first]


def _gains(grades: Iterable[int]) -> list[int]:
    return [grade for grade in grades if grade > 0]


def _discounted(gains: Iterable[int]) -> float:
    return sum(gain / math.log2(rank + 1) for rank, gain in enumerate(gains, 1))


def _mean(values: Iterable[float]) -> float:
    listed = list(values)
    return sum(listed) / len(listed)
