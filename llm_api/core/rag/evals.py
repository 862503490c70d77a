"""A collection's search, measured on questions whose answers are known, and tuned to them.

Each question is searched once; every way to search ranks again what that has found.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from llm_api.core.errors import InvalidRequestError
from llm_api.core.rag.evaluation import Grades, Judgements, ModeComparison, compare
from llm_api.core.rag.retrieve import Retriever, SearchOptions
from llm_api.core.rag.tuning import (
    LEAST_QUESTIONS,
    SearchCandidates,
    SearchChoice,
    SearchTrial,
    Tuning,
    try_all,
    tune,
)
from llm_api.core.rag.vector_store import Hit, SearchMode, TunedSearch, VectorStore

AT_ONCE: Final = 8
"""Searches under way, so that the embedder has batches to form."""

USUAL: Final = SearchChoice()
MODES: Final[Mapping[SearchMode, float]] = {"sparse": 0.0, "dense": 1.0, "hybrid": USUAL.share}
"""The share of the embedding in each."""


@dataclass(frozen=True, slots=True)
class SearchEvals:
    """What each mode reaches, and what the search was tuned to; None of too few questions."""

    comparison: ModeComparison
    tuning: Tuning | None


@dataclass(frozen=True, slots=True, eq=False)
class _Judged:
    """What became of one question: the documents that each mode finds, and every trial."""

    rankings: Mapping[SearchMode, Sequence[str]]
    trial: SearchTrial


async def evaluate_search(
    retriever: Retriever,
    collection: str,
    questions: Mapping[str, str],
    judgements: Judgements,
    cutoff: int = 10,
) -> SearchEvals:
    """Asks every question (by its id) that has a relevant document.

    Raises ValueError where none has one, and what the search raises.
    """
    judged = await _ask_all(retriever, collection, questions, judgements, cutoff)
    rankings = {mode: {name: one.rankings[mode] for name, one in judged.items()} for mode in MODES}
    comparison = compare(rankings, judgements, cutoff)
    trials = {questions[name]: one.trial for name, one in judged.items()}
    is_enough = len(trials) >= LEAST_QUESTIONS
    return SearchEvals(comparison, tune(trials, usual_choice(retriever)) if is_enough else None)


async def search_trials(
    retriever: Retriever,
    collection: str,
    questions: Mapping[str, str],
    judgements: Judgements,
    cutoff: int,
) -> dict[str, SearchTrial]:
    """What becomes of each question that has a relevant document, in every way to search."""
    judged = await _ask_all(retriever, collection, questions, judgements, cutoff)
    return {questions[name]: one.trial for name, one in judged.items()}


def usual_choice(retriever: Retriever) -> SearchChoice:
    """How is searched where nobody has tuned anything."""
    threshold = retriever.default_threshold
    return USUAL if threshold is None else SearchChoice(threshold=threshold)


async def _ask_all(
    retriever: Retriever,
    collection: str,
    questions: Mapping[str, str],
    judgements: Judgements,
    cutoff: int,
) -> dict[str, _Judged]:
    options = SearchOptions(collection, cutoff, truncates=True)
    searching, judging = asyncio.Semaphore(AT_ONCE), asyncio.Lock()

    async def ask(name: str) -> _Judged:
        async with searching:
            hits = await retriever.candidates(questions[name], options)
            async with judging:  # one at a time: each takes all of the interpreter
                return await asyncio.to_thread(_judge, hits, judgements[name], cutoff)

    asked = [name for name in questions if any(grade > 0 for grade in judgements[name].values())]
    try:
        async with asyncio.TaskGroup() as group:
            tasks = {name: group.create_task(ask(name)) for name in asked}
    except ExceptionGroup as errors:
        raise errors.exceptions[0] from errors
    return {name: task.result() for name, task in tasks.items()}


def _judge(hits: Sequence[Hit], grades: Grades, cutoff: int) -> _Judged:
    candidates = SearchCandidates.of(hits)
    rankings = {
        mode: [candidates.documents[one] for one in candidates.ranked(share, USUAL.neighbours, 0.0)]
        for mode, share in MODES.items()
    }
    return _Judged(rankings, try_all(candidates, grades, cutoff))


async def apply(store: VectorStore, collection: str, evals: SearchEvals, now: float) -> bool:
    """Have the collection searched as was found best from now on; whether that is another way.

    Where nothing is surely better than the usual search, that is what it gets. Raises
    InvalidRequestError where there were too few questions.
    """
    tuning = evals.tuning
    if tuning is None:
        raise InvalidRequestError(
            f"To apply what was found takes {LEAST_QUESTIONS} different questions that have a"
            " relevant document.",
            param="questions",
        )
    tuned = tuned_search(tuning, now) if tuning.is_better else None
    await store.write_tuning(collection, tuned)
    return tuned is not None


def tuned_search(tuning: Tuning, now: float) -> TunedSearch:
    """What a collection remembers of it. Pure."""
    choice = tuning.choice
    return TunedSearch(
        choice.mode,
        choice.weights,
        choice.score_threshold,
        choice.top_k,
        choice.diversity,
        choice.neighbours,
        tuning.questions,
        tuning.ndcg,
        tuning.before,
        now,
    )
