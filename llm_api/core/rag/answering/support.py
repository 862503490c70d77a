"""Which sentences of an answer the sources support: by words, and by meaning as embedders see it.

Covers: sentences that no source has anything like. Does not cover: what is like a source and yet
false, as a number or a "not" that was changed.
"""

import asyncio
import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import repeat
from typing import Final

import numpy as np

from llm_api.core.embeddings.embedder import Embedder, EmbeddingRequest
from llm_api.core.errors import LLMAPIError
from llm_api.core.rag.answering.citations import claims
from llm_api.core.rag.answering.overlap import Terms, overlap, passages, terms
from llm_api.core.rag.types import Chunk, Span
from llm_api.core.utils.long_work import in_slices

log = logging.getLogger(__name__)

SIMILARITY_WEIGHT: Final = 0.6
LEXICAL_THRESHOLD: Final = 0.61
COMBINED_THRESHOLD: Final = 0.59  # with all-MiniLM-L6-v2
"""Measured by `scripts/measure_support.py`, which also says how often they are right."""


@dataclass(frozen=True, slots=True)
class Support:
    """A sentence of the answer (`place`), and the passage of a document that is most like it."""

    sentence: str
    place: Span
    supported: bool
    score: float
    document_id: str | None = None
    span: Span | None = None


class SupportCheck:
    """The sentences of one answer against the passages of its sources.

    `claims` and `passages` are the texts to embed, where similarities are wanted.
    """

    def __init__(self, answer: str, sources: Sequence[Chunk]) -> None:
        self._answer = answer
        kept = [(span, claim) for span, claim in claims(answer) if terms(claim)]
        self._places = [span for span, _ in kept]
        self.claims = [claim for _, claim in kept]
        self._spans = [(source, span) for source in sources for span in passages(source.text)]
        self.passages = [source.text[span.start : span.end] for source, span in self._spans]
        self._terms = [terms(passage) for passage in self.passages]

    def judge(self, similarities: Iterable[Sequence[float]] | None = None) -> Iterator[Support]:
        """One verdict for each claim, in order, each computed as it is asked for.

        `similarities` has a row for each claim, with the cosine to each passage.
        """
        rows = repeat(None) if similarities is None else similarities
        for place, claim, row in zip(self._places, self.claims, rows, strict=False):
            yield self._judge(place, terms(claim), row)

    def _judge(self, place: Span, claim: Terms, similarities: Sequence[float] | None) -> Support:
        scores = [overlap(claim, passage) for passage in self._terms]
        threshold = LEXICAL_THRESHOLD
        if similarities is not None:
            scores = [combined(*pair) for pair in zip(scores, similarities, strict=True)]
            threshold = COMBINED_THRESHOLD
        sentence = self._answer[place.start : place.end]
        score = max(scores, default=0.0)
        if score <= 0:
            return Support(sentence, place, supported=False, score=0.0)
        source, span = self._spans[scores.index(score)]
        start = source.span.start
        return Support(
            sentence,
            place,
            supported=score >= threshold,
            score=score,
            document_id=source.document_id,
            span=Span(start + span.start, start + span.end),
        )


def combined(lexical: float, similarity: float) -> float:
    """Both measures as one."""
    return (1 - SIMILARITY_WEIGHT) * lexical + SIMILARITY_WEIGHT * similarity


async def verify(embedder: Embedder, answer: str, sources: Sequence[Chunk]) -> list[Support]:
    """A verdict for each sentence of the answer; by words alone where the embedder fails."""
    check = await asyncio.to_thread(SupportCheck, answer, sources)
    similarities = await _similarities(embedder, check)
    return await in_slices(check.judge(similarities), asyncio.Lock())


async def _similarities(
    embedder: Embedder, check: SupportCheck
) -> Iterator[Sequence[float]] | None:
    """A row for each claim, computed as it is asked for."""
    texts = [*check.claims, *check.passages]
    if not check.claims or not check.passages:
        return None
    request = EmbeddingRequest(texts, input_type="document", truncates=True)
    try:
        vectors = (await embedder.embed(request)).vectors
    except LLMAPIError as error:
        log.warning("an answer is verified by its words alone: %s", error.message)
        return None
    units = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    claims, passages = np.split(units, [len(check.claims)])
    return ((passages @ claim).tolist() for claim in claims)
