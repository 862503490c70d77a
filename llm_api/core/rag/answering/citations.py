"""Markers `[1]` to `[n]` in an answer, and the words of the sources that they point to. Pure."""

import re
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from llm_api.core.rag.answering.overlap import overlap, passages, terms
from llm_api.core.rag.sentences import sentences
from llm_api.core.rag.types import Chunk, Span

REACH: Final = 2_000
"""Characters before a marker in which the sentence that carries it begins."""

_MARKER: Final = re.compile(r"\[([1-9][0-9]{0,3})\]")


@dataclass(frozen=True, slots=True)
class Citation:
    """A marker, and what it stands for.

    `marker` is its place in the answer; `span` that of the quote in the document's text, where
    the quote stands character by character.
    """

    number: int
    marker: Span
    document_id: str
    span: Span
    quote: str


def citation_grammar(sources: int) -> str:
    """Any text in which a bracket before a digit is a marker of one of the sources.

    In llguidance's Lark. `[note]` and `[]` stay possible; `[ 7]` and `list[0]` do not.
    """
    numbers = "|".join(str(number) for number in range(sources, 0, -1))
    marker = rf"({numbers})\]|" if sources else ""
    return "start: TEXT\n" + rf"TEXT: /([^\[]|\[+({marker}[^\[\d\s]))*/" + "\n"


def find_citations(answer: str, sources: Sequence[Chunk], start: int = 0) -> list[Citation]:
    """The citations of an answer from `start` on, in its order; `[1]` is the first source.

    The quote is what shares most words with the sentence that carries the marker, or the whole
    source where nothing does. Numbers without a source are no citations. The cost grows with the
    markers, and not with the text before `start`.
    """
    return [
        _cite(number, marker, claim, sources[number - 1])
        for number, marker, claim in _markers(answer, start)
        if number <= len(sources)
    ]


class CitationCursor:
    """Finds the citations of an answer that comes in pieces, each once."""

    def __init__(self, sources: Sequence[Chunk]) -> None:
        self._sources = sources
        self._position = 0
        self.text = ""

    def add(self, piece: str) -> bool:
        """Whether the piece may have completed a marker: `found` says which then."""
        self.text += piece
        return "]" in piece

    def found(self) -> list[Citation]:
        """The citations since the last call. Moves behind the last bracket. Blocks."""
        start, self._position = self._position, self.text.rfind("]") + 1
        return find_citations(self.text, self._sources, start)


def claims(answer: str) -> list[tuple[Span, str]]:
    """The sentences of an answer: their places, and their words with blanks for the markers."""
    words = _MARKER.sub(lambda marker: " " * len(marker.group()), answer)
    return [(span, words[span.start : span.end]) for span in sentences(words)]


def _markers(answer: str, start: int) -> Iterator[tuple[int, Span, str]]:
    """Number and place of each marker, and the sentence that it belongs to.

    That is the last that begins before it, so that it may stand behind the full stop; at the
    beginning of the answer the one that follows.
    """
    begin = max(0, start - REACH)
    said = claims(answer[begin:])
    starts = [begin + span.start for span, _ in said]
    for found in _MARKER.finditer(answer, start):
        begun = bisect_left(starts, found.start())
        claim = said[max(0, begun - 1)][1] if said else ""
        yield int(found[1]), Span(found.start(), found.end()), claim


def _cite(number: int, marker: Span, claim: str, source: Chunk) -> Citation:
    wanted = terms(claim)
    scored = [
        (overlap(wanted, terms(source.text[span.start : span.end])), span)
        for span in passages(source.text)
    ]
    score, best = max(scored, key=lambda pair: pair[0], default=(0.0, Span(0, 0)))
    if not score:
        best = Span(0, len(source.text))
    span = Span(source.span.start + best.start, source.span.start + best.end)
    return Citation(number, marker, source.document_id, span, source.text[best.start : best.end])
