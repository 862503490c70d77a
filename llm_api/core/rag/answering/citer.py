"""An answer cited while it comes: each sentence, once it is complete, against numbered sources."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from llm_api.core.embeddings.embedder import Embedder
from llm_api.core.llm.types import Annotation, Event, Finished, TextDelta
from llm_api.core.rag.answering.answer_sentences import AnswerSentence, AnswerSentences, Marker
from llm_api.core.rag.answering.citations import Citation, CitationMode
from llm_api.core.rag.answering.overlap import terms
from llm_api.core.rag.answering.support import AlikePassage, ComparedSentence, Support, SupportCheck
from llm_api.core.rag.types import Chunk, Span

_WITH_MARKERS: Final = frozenset[CitationMode]({"model", "both", "required"})
_WITH_ALIGNMENT: Final = frozenset[CitationMode]({"alignment", "both", "required"})


@dataclass(frozen=True, slots=True)
class CitedSentence:
    """A sentence, its citations in order, and how it is supported where that was asked."""

    sentence: AnswerSentence
    citations: tuple[Citation, ...] = ()
    support: Support | None = None


class Citer:
    """Cites one answer that comes in pieces; `[1]` is the first source.

    It compares in tasks, so taking a piece waits for nothing. With `verifies`, `support` has each
    sentence with words that was given out. A marker without any word, as in the answer "[1]",
    quotes what is most like the `question`. Make it on the event loop, and close it.
    """

    def __init__(
        self,
        sources: Sequence[Chunk],
        embedder: Embedder | None,
        mode: CitationMode = "both",
        *,
        verifies: bool = False,
        question: str = "",
    ) -> None:
        self._sources = sources
        self._mode = mode
        self._verifies = verifies
        self._question = question
        self._sentences = AnswerSentences()
        self._embedder = embedder
        self._is_needed = bool(sources) and (mode != "none" or verifies)
        self._check: SupportCheck | None = None
        self._waiting: deque[asyncio.Task[CitedSentence]] = deque()
        self._last: AnswerSentence | None = None
        self.support: list[Support] = []

    @property
    def text(self) -> str:
        """The answer so far."""
        return self._sentences.text

    def is_cited(self, marker: Marker) -> bool:
        """Whether a marker names a source, and markers are what is asked for."""
        return self._mode in _WITH_MARKERS and marker.number <= len(self._sources)

    def add(self, piece: str) -> None:
        """Take a piece, and begin to cite the sentences that it completes.

        With the first one the sources are embedded: earlier that would delay it, where model and
        embedder share processors.
        """
        if self._is_needed and self._check is None:
            self._check = SupportCheck(self._sources, self._embedder)
        self._begin(self._sentences.add(piece))

    def end(self) -> None:
        """Begin to cite what is left: the answer, or this part of it, is over."""
        self._begin(self._sentences.rest())

    def ready(self) -> list[CitedSentence]:
        """Those whose citations are there, in the order of the answer, each once."""
        found = []
        while self._waiting and self._waiting[0].done():
            found.append(self._waiting.popleft().result())
        self.support += [one.support for one in found if one.support is not None]
        return found

    async def all(self) -> list[CitedSentence]:
        """Those that are complete, each once. Waits for their citations."""
        if self._waiting:
            await asyncio.wait(self._waiting)
        return self.ready()

    async def aclose(self) -> None:
        """Stops what has begun. Idempotent."""
        for task in self._waiting:
            task.cancel()
        await asyncio.gather(*self._waiting, return_exceptions=True)
        self._waiting.clear()
        if self._check is not None:
            await self._check.aclose()

    def _begin(self, sentences: Sequence[AnswerSentence]) -> None:
        for sentence in sentences:
            self._waiting.append(asyncio.create_task(self._cite(sentence, self._last)))
            self._last = sentence

    async def _cite(self, sentence: AnswerSentence, before: AnswerSentence | None) -> CitedSentence:
        markers = [marker for marker in sentence.markers if self.is_cited(marker)]
        has_words = bool(terms(sentence.claim))
        is_judged = has_words and (self._verifies or self._mode in _WITH_ALIGNMENT)
        compared = None
        if self._check is not None and (is_judged or markers):
            claim = sentence.claim if has_words else self._question
            compared = await self._check.compare(claim) if claim else None
        cited = [self._of_marker(sentence, marker, compared) for marker in markers]
        if before is not None and not any(map(self.is_cited, before.markers)):
            cited = [await self._meant(citation, before) for citation in cited]
        return CitedSentence(
            sentence,
            (*cited, *(self._aligned(sentence, cited, compared) if has_words else ())),
            self._support(sentence, compared) if self._verifies and has_words else None,
        )

    async def _meant(self, citation: Citation, before: AnswerSentence) -> Citation:
        """For the sentence before, where the marked source says that one and not its own.

        So it is with the marker of "This is said in [1]."
        """
        if citation.supported or self._check is None or not terms(before.claim):
            return citation
        best = (await self._check.compare(before.claim)).best(citation.number)
        if best is None or not best.supported:
            return citation
        return _citation(best, citation.marker, before, by_model=True)

    def _aligned(
        self, sentence: AnswerSentence, cited: Sequence[Citation], compared: ComparedSentence | None
    ) -> Sequence[Citation]:
        """What supports a sentence for which the model has named no source that does."""
        if compared is None or self._mode not in _WITH_ALIGNMENT:
            return ()
        best = compared.best()
        if best is None or not best.supported or any(one.supported for one in cited):
            return ()
        end = Span(sentence.place.end, sentence.place.end)
        return (_citation(best, end, sentence, by_model=False),)

    def _of_marker(
        self, sentence: AnswerSentence, marker: Marker, compared: ComparedSentence | None
    ) -> Citation:
        """The best of the source that the model has named; all of it where nothing is alike."""
        best = compared.best(marker.number) if compared is not None else None
        if best is None:
            source = self._sources[marker.number - 1]
            best = AlikePassage(
                marker.number, source.document_id, source.span, source.text, 0.0, supported=False
            )
        return _citation(best, marker.place, sentence, by_model=True)

    def _support(self, sentence: AnswerSentence, compared: ComparedSentence | None) -> Support:
        place = sentence.place
        said = self.text[place.start : place.end]
        best = compared.best() if compared is not None else None
        if best is None:
            return Support(said, place, supported=False, score=0.0)
        return Support(said, place, best.supported, best.score, best.document_id, best.span)


def _citation(
    match: AlikePassage, marker: Span, sentence: AnswerSentence, *, by_model: bool
) -> Citation:
    return Citation(
        match.number,
        marker,
        match.document_id,
        match.span,
        match.quote,
        "model" if by_model else "alignment",
        sentence.place,
        match.score,
        match.supported,
    )


async def cited_events(events: AsyncIterator[Event], citer: Citer) -> AsyncGenerator[Event, None]:
    """The events, each at once, and an Annotation for each `Citation` behind its sentence.

    That is as the next event comes, so a word or two later; before `Finished` at the latest.
    Closes the citer; the caller closes the events, and this generator.
    """
    try:
        async for event in events:
            if isinstance(event, Finished):
                citer.end()
                for note in _notes(await citer.all()):
                    yield note
                yield event
                continue
            yield event
            if isinstance(event, TextDelta):
                citer.add(event.text)
            for note in _notes(citer.ready()):
                yield note
    finally:
        await citer.aclose()


def _notes(sentences: Sequence[CitedSentence]) -> Iterator[Annotation]:
    return (Annotation(citation) for one in sentences for citation in one.citations)
