"""An answer divided into sentences while it comes: their places, words and markers. Pure.

A marker such as `[1]` belongs to the last sentence that begins before it, so that it may stand
behind the full stop; at the beginning of the answer to the one that follows.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from llm_api.core.rag.sentences import MARK, sentences
from llm_api.core.rag.types import Span

LONGEST: Final = 2_000
"""Characters after which a sentence is taken for complete: what follows is the next."""

MARKER: Final = re.compile(r"\[([1-9][0-9]{0,3})\]")
_HALF_MARKER: Final = re.compile(r"\[[0-9]{0,4}\Z")
_WORD: Final = re.compile(r"\w")


@dataclass(frozen=True, slots=True)
class Marker:
    """`[1]` in an answer, and where it stands."""

    number: int
    place: Span


@dataclass(frozen=True, slots=True)
class AnswerSentence:
    """A sentence and its markers. `claim` is its text with blanks for those within `place`."""

    place: Span
    claim: str
    markers: tuple[Marker, ...] = ()


class AnswerSentences:
    """Takes an answer in pieces, and gives each sentence once it is complete.

    That is known when another word follows, or at the end. How the answer is cut into pieces makes
    no difference. A piece costs no more than the sentence that it is in.
    """

    def __init__(self) -> None:
        self.text = ""
        self._begin = 0
        self._may_end = False

    def add(self, piece: str) -> list[AnswerSentence]:
        """The sentences that this piece completes."""
        self.text += piece
        self._may_end = self._may_end or MARK.search(piece) is not None
        is_too_long = len(self.text) - self._begin > LONGEST
        return self._take(is_over=False) if self._may_end or is_too_long else []

    def rest(self) -> list[AnswerSentence]:
        """The sentences of what is left, at the end of the answer."""
        return self._take(is_over=True)

    def _take(self, *, is_over: bool) -> list[AnswerSentence]:
        end = len(self.text)
        if not is_over and (half := _HALF_MARKER.search(self.text, max(self._begin, end - 5))):
            end = half.start()
        found = list(_divided(self.text, self._begin, end))
        if is_over:
            self._begin = end
            return found
        if len(found) == 1 and len(self.text) - self._begin > LONGEST:
            found.append(AnswerSentence(Span(end, end), ""))
        *complete, last = found or [AnswerSentence(Span(self._begin, end), "")]
        if complete:
            self._begin = last.place.start
            self._may_end = MARK.search(last.claim) is not None
        return complete


def divided(answer: str) -> list[AnswerSentence]:
    """The sentences of a whole answer."""
    return list(_divided(answer, 0, len(answer)))


def _divided(text: str, start: int, end: int) -> Iterator[AnswerSentence]:
    """The sentences of `text[start:end]` that have a word."""
    piece = text[start:end]
    words = MARKER.sub(lambda marker: " " * len(marker.group()), piece)
    spans = [span for span in sentences(words) if _WORD.search(words, span.start, span.end)]
    markers = [
        Marker(int(found[1]), Span(start + found.start(), start + found.end()))
        for found in MARKER.finditer(piece)
    ]
    if not spans and markers:
        spans = [Span(0, 0)]
    ends = [start + span.start for span in spans[1:]] + [end] * bool(spans)
    begins = 0
    for span, until in zip(spans, ends, strict=True):
        own = begins
        while own < len(markers) and markers[own].place.start < until:
            own += 1
        place = Span(start + span.start, start + span.end)
        yield AnswerSentence(place, words[span.start : span.end], tuple(markers[begins:own]))
        begins = own
