"""Which sentences of an answer the sources support: by words, and by meaning if given. Pure.

Covers: sentences that no source has anything like. Does not cover: what is like a source and yet
false, as a number or a "not" that was changed.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from llm_api.core.rag.citations import claims
from llm_api.core.rag.overlap import overlap, passages, terms
from llm_api.core.rag.types import Chunk, Span

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

    def judge(self, similarities: Sequence[Sequence[float]] | None = None) -> list[Support]:
        """One verdict for each claim, in order.

        `similarities` has a row for each claim, with the cosine to each passage.
        """
        return [
            self._judge(index, similarities[index] if similarities is not None else None)
            for index in range(len(self.claims))
        ]

    def _judge(self, index: int, similarities: Sequence[float] | None) -> Support:
        claim = terms(self.claims[index])
        scores = [overlap(claim, terms(passage)) for passage in self.passages]
        threshold = LEXICAL_THRESHOLD
        if similarities is not None:
            scores = [combined(*pair) for pair in zip(scores, similarities, strict=True)]
            threshold = COMBINED_THRESHOLD
        place = self._places[index]
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
