"""Which passage of the sources says what a sentence says, by words and by embedded meaning.

Covers: sentences that no source has anything like, and what `differences` covers of those that are
like a passage and yet false.
"""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from llm_api.core.embeddings.embedder import Embedder, EmbeddingRequest
from llm_api.core.errors import LLMAPIError
from llm_api.core.rag.answering.differences import difference
from llm_api.core.rag.answering.overlap import Numbers, Passages, terms
from llm_api.core.rag.types import Chunk, Span

log = logging.getLogger(__name__)

SIMILARITY_WEIGHT: Final = 0.6
LEXICAL_THRESHOLD: Final = 0.5
COMBINED_THRESHOLD: Final = 0.54  # with all-MiniLM-L6-v2
"""Measured by `scripts/measure_citations.py`, which also says how often they are right."""

_WORTH_A_LOOK: Final = 0.3
"""Passages that are less like a sentence do not support it, whatever they say."""

MOST_EMBEDDED: Final = 2_000
"""Sentences of sources: of more, words alone decide. A model reads longer at them than we do."""

_FEW: Final = 1_000
"""Passages that are compared in less than a millisecond, so on the event loop."""


@dataclass(frozen=True, slots=True)
class Support:
    """A sentence of the answer (`place`), and the passage of a document that is most like it."""

    sentence: str
    place: Span
    supported: bool
    score: float
    document_id: str | None = None
    span: Span | None = None


@dataclass(frozen=True, slots=True)
class AlikePassage:
    """The passage of a source (`number` 1 is the first) that is most like a sentence.

    `span` and `quote` are of the document's text.
    """

    number: int
    document_id: str
    span: Span
    quote: str
    score: float
    supported: bool


class ComparedSentence:
    """One sentence against all passages."""

    def __init__(
        self, sources: Sequence[Chunk], passages: Passages, scores: Numbers, threshold: float
    ) -> None:
        self._sources = sources
        self._passages = passages
        self._scores = scores
        self._threshold = threshold

    def best(self, number: int | None = None) -> AlikePassage | None:
        """The most alike of all, or of one source; None where nothing is alike."""
        scores = self._scores
        if number is not None:
            scores = scores * self._passages.of(number - 1)
        position = int(np.argmax(scores)) if len(scores) else 0
        if not len(scores) or scores[position] <= 0:
            return None
        score = float(scores[position])
        index, span = self._passages.place(position)
        source = self._sources[index]
        start = source.span.start
        return AlikePassage(
            index + 1,
            source.document_id,
            Span(start + span.start, start + span.end),
            source.text[span.start : span.end],
            score,
            score >= self._threshold,
        )


class Likeness:
    """How like a sentence the passages of some sources are: by words, and by vectors if given.

    Blocks while it is made.
    """

    def __init__(self, sources: Sequence[str]) -> None:
        self.passages = Passages(sources)
        self._sources = sources

    def of(self, claim: str, vectors: tuple[Numbers, Numbers] | None = None) -> Numbers:
        """About 0 to 1 for each passage; less where it says otherwise.

        `vectors` are those of the claim and of the passages' sentences, of unit length.
        """
        scores = self.passages.overlaps(terms(claim))
        if vectors is not None:
            similarities = self.passages.similarities(*vectors)
            scores = (1 - SIMILARITY_WEIGHT) * scores + SIMILARITY_WEIGHT * similarities
        for position in np.flatnonzero(scores >= _WORTH_A_LOOK).tolist():
            source, _ = self.passages.place(position)
            passage = self.passages.text(position)
            scores[position] -= difference(claim, passage, self._sources[source])
        return scores


class SupportCheck:
    """Compares sentences with the passages of some sources, which are embedded once.

    That begins at once, in a task; the maker closes it. Without an embedder, and where it fails,
    words alone decide.
    """

    def __init__(self, sources: Sequence[Chunk], embedder: Embedder | None) -> None:
        self._sources = sources
        self._embedder = embedder
        self._preparing = asyncio.create_task(self._prepare())

    async def compare(self, claim: str) -> ComparedSentence:
        likeness, vectors = await asyncio.shield(self._preparing)
        threshold, pair = LEXICAL_THRESHOLD, None
        if vectors is not None and (own := await self._embed([claim])) is not None:
            threshold, pair = COMBINED_THRESHOLD, (own[0], vectors)
        if len(likeness.passages) <= _FEW:
            scores = likeness.of(claim, pair)
        else:
            scores = await asyncio.to_thread(likeness.of, claim, pair)
        return ComparedSentence(self._sources, likeness.passages, scores, threshold)

    async def aclose(self) -> None:
        """Stops what has begun. Idempotent."""
        self._preparing.cancel()
        await asyncio.gather(self._preparing, return_exceptions=True)

    async def _prepare(self) -> tuple[Likeness, Numbers | None]:
        """Without vectors of the sentences, words alone decide."""
        likeness = await asyncio.to_thread(Likeness, [source.text for source in self._sources])
        sentences = likeness.passages.sentences
        is_embedded = 0 < len(sentences) <= MOST_EMBEDDED
        return likeness, await self._embed(sentences) if is_embedded else None

    async def _embed(self, texts: Sequence[str]) -> Numbers | None:
        if self._embedder is None:
            return None
        try:
            request = EmbeddingRequest(texts, input_type="document", truncates=True)
            vectors = (await self._embedder.embed(request)).vectors
        except LLMAPIError as error:
            log.warning("an answer is compared with its sources by words alone: %s", error.message)
            return None
        lengths = np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
        return np.asarray(vectors / lengths)
