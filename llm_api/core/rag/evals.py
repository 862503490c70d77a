"""How well each way to search does on a collection, by questions whose answers are known."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Generic, Protocol, TypeAlias, TypeVar

from llm_api.core.rag.retrieve import NO_THRESHOLD, Retriever, SearchOptions
from llm_api.core.rag.vector_store import SearchMode

CHEAPEST_FIRST: Final[tuple[SearchMode, ...]] = ("sparse", "dense", "hybrid")
CHUNKS_PER_DOCUMENT = 5
"""How many chunks are searched for each document that is ranked: one may have many of the best."""

AT_ONCE = 8
"""Searches under way, so that the embedder has batches to form."""


class HasNDCG(Protocol):
    @property
    def ndcg(self) -> float: ...


Quality = TypeVar("Quality", bound=HasNDCG)

Rankings: TypeAlias = Mapping[str, Sequence[str]]
"""Id of a question to ids of documents, best first."""

Judgements: TypeAlias = Mapping[str, Mapping[str, int]]
"""Id of a question to the grade of each document that was judged for it."""

Evaluate: TypeAlias = Callable[[Rankings, Judgements, int], Quality]
"""Measures of rankings, of which the first so many documents count."""


@dataclass(frozen=True, slots=True)
class Comparison(Generic[Quality]):
    """What each mode reaches. `best` has the highest nDCG; of equals the one that costs least."""

    qualities: Mapping[SearchMode, Quality]
    best: SearchMode


async def compare_modes(
    retriever: Retriever,
    collection: str,
    questions: Mapping[str, str],
    judgements: Judgements,
    evaluate: Evaluate[Quality],
    cutoff: int = 10,
) -> Comparison[Quality]:
    """Ask every question (by its id) in every mode. No score is too low here."""
    qualities: dict[SearchMode, Quality] = {}
    for mode in CHEAPEST_FIRST:
        options = SearchOptions(
            collection,
            top_k=cutoff * CHUNKS_PER_DOCUMENT,
            mode=mode,
            score_threshold=NO_THRESHOLD,
            truncates=True,
        )
        rankings = await _rankings(retriever, questions, options)
        qualities[mode] = evaluate(rankings, judgements, cutoff)
    return Comparison(qualities, max(CHEAPEST_FIRST, key=lambda mode: qualities[mode].ndcg))


async def _rankings(
    retriever: Retriever, questions: Mapping[str, str], options: SearchOptions
) -> dict[str, list[str]]:
    room = asyncio.Semaphore(AT_ONCE)

    async def rank(question: str) -> list[str]:
        async with room:
            found = await retriever.search(question, options)
        return list(dict.fromkeys(one.hit.chunk.document_id for one in found))

    ranked = await asyncio.gather(*map(rank, questions.values()))
    return dict(zip(questions, ranked, strict=True))
