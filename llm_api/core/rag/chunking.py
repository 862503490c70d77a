"""Documents to chunks, along headings and sentences. Pure, and linear in the text.

1. Regions: the text between two headings. A page break ends none. A region that is nothing but
   its heading goes with the one below it.
2. Units: sentences; of one that is too long its lines; of these the words; of these the halves.
3. Chunks: as many units as fit, after the last of the chunk before that fit into the overlap.
4. Tokens of a text are not always the sum over its parts: what came out too long is halved.
"""

import json
import re
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, TypeAlias
from uuid import UUID, uuid5

from llm_api.core.rag.sentences import sentences
from llm_api.core.rag.types import Chunk, Document, Section, Span

CountTokens: TypeAlias = Callable[[Sequence[str]], Sequence[int]]
"""How many tokens each text has for the embedder, without those that it puts around a text."""

MAX_CHARACTERS_PER_TOKEN: Final = 16
"""A tokenizer may call a megabyte without a space one unknown word; it counts as more here."""

_NAMESPACE: Final = UUID("5b1f3a52-6d0c-5f0e-9c2b-7f4f7b9f3a11")
_HEADING_MARKUP: Final = 16  # characters beside its words that a line needs to be a heading
_BATCH: Final = 1024  # texts counted at once

_LINE: Final = re.compile(r"\S(?:[^\n]*\S)?")
_WORD: Final = re.compile(r"\S+")


@dataclass(frozen=True, slots=True)
class ChunkSettings:
    """`0 <= overlap_tokens < chunk_tokens`."""

    chunk_tokens: int = 200
    overlap_tokens: int = 30


@dataclass(frozen=True, slots=True)
class _Unit:
    """Words that stay together, and what they cost in tokens."""

    span: Span
    cost: int


@dataclass(frozen=True, slots=True)
class _Group:
    """The units of a chunk: those that the chunk before it has too, and the others."""

    overlap: Sequence[_Unit]
    new: Sequence[_Unit]

    def span(self) -> Span:
        return Span((self.overlap or self.new)[0].span.start, self.new[-1].span.end)

    def smaller(self) -> list["_Group"]:
        """The same without the overlap; where there is none, in two halves."""
        if self.overlap:
            return [_Group((), self.new)]
        middle = len(self.new) // 2
        return [_Group((), self.new[:middle]), _Group((), self.new[middle:])]


def split_document(
    document: Document, settings: ChunkSettings, count_tokens: CountTokens
) -> list[Chunk]:
    """The chunks of a document, ascending; together they hold all of it but white space.

    None has more than `chunk_tokens` tokens, and no word is cut that has not more by itself.
    """
    splitter = _Splitter(document.text, settings, count_tokens)
    sections = document.sections
    starts = [section.start for section in sections]
    chunks: list[Chunk] = []
    for start, end, headings in _regions(document):
        for span in splitter.split(start, end):
            section = bisect_right(starts, span.start) - 1
            text = document.text[span.start : span.end]
            chunks.append(
                Chunk(
                    id=str(uuid5(_NAMESPACE, json.dumps([document.id, span.start, text]))),
                    document_id=document.id,
                    position=len(chunks),
                    text=text,
                    span=span,
                    headings=headings,
                    page=sections[section].page if section >= 0 else None,
                )
            )
    return chunks


def _regions(document: Document) -> Iterator[tuple[int, int, tuple[str, ...]]]:
    """Start, end and headings of the parts that no chunk reaches across."""
    end = Section(len(document.text))
    begin: int | None = None
    for section, following in pairwise((Section(0), *document.sections, end)):
        begin = section.start if begin is None else begin
        is_last = following is end
        if not is_last and section.headings == following.headings:
            continue
        words = document.text[begin : following.start].strip()
        if not is_last and _is_heading(words, section.headings, following.headings):
            continue
        yield begin, following.start, section.headings
        begin = None


def _is_heading(words: str, headings: tuple[str, ...], following: tuple[str, ...]) -> bool:
    """Whether there is nothing between this section's heading and the one below it."""
    is_above = bool(headings) and headings == following[: len(headings)]
    return is_above and len(words) <= len(headings[-1]) + _HEADING_MARKUP


class _Splitter:
    """Splits one text."""

    def __init__(self, text: str, settings: ChunkSettings, count_tokens: CountTokens) -> None:
        self._text = text
        self._limit = settings.chunk_tokens
        self._overlap = settings.overlap_tokens
        self._count_tokens = count_tokens

    def split(self, start: int, end: int) -> list[Span]:
        units = self._fitting(list(sentences(self._text, start, end)))
        return self._verified(list(self._pack(units)))

    def _fitting(self, spans: Sequence[Span], level: int = 0) -> list[_Unit]:
        """The spans, or what they are made of as far as they are too long."""
        units: list[_Unit] = []
        for span, cost in zip(spans, self._costs(spans), strict=True):
            if cost <= self._limit or span.end - span.start == 1:
                units.append(_Unit(span, cost))
            else:
                units += self._fitting(self._parts(span, level), level + 1)
        return units

    def _parts(self, span: Span, level: int) -> list[Span]:
        if level < 2:
            found = (_LINE, _WORD)[level].finditer(self._text, span.start, span.end)
            return [Span(part.start(), part.end()) for part in found]
        middle = (span.start + span.end) // 2
        return [Span(span.start, middle), Span(middle, span.end)]

    def _pack(self, units: Sequence[_Unit]) -> Iterator[_Group]:
        """The units in groups that fit into a chunk each."""
        first = new = cost = 0
        for index, unit in enumerate(units):
            if cost + unit.cost > self._limit and index > new:
                yield _Group(units[first:new], units[new:index])
                room = min(self._overlap, self._limit - unit.cost)
                first, cost = self._overlapping(units, new, index, room)
                new = index
            cost += unit.cost
        if units:
            yield _Group(units[first:new], units[new:])

    @staticmethod
    def _overlapping(units: Sequence[_Unit], new: int, end: int, room: int) -> tuple[int, int]:
        """The first of the last units before `end` that fit into the room, and what they cost.

        Only units behind `new` count: a chunk begins behind the one before it.
        """
        begin, cost = end, 0
        while begin - 1 > new and cost + units[begin - 1].cost <= room:
            begin -= 1
            cost += units[begin].cost
        return begin, cost

    def _verified(self, groups: Sequence[_Group]) -> list[Span]:
        spans = [group.span() for group in groups]
        found: list[Span] = []
        was_halved = False  # then the overlap would begin before the second half does
        for group, span, cost in zip(groups, spans, self._costs(spans), strict=True):
            fits = cost <= self._limit or len(group.overlap) + len(group.new) == 1
            if fits and not (was_halved and group.overlap):
                found.append(span)
                was_halved = False
            else:
                smaller = self._verified(group.smaller())
                found += smaller
                was_halved = len(smaller) > 1
        return found

    def _costs(self, spans: Sequence[Span]) -> list[int]:
        """Tokens of each span; only characters are counted where these are too many already."""
        least = [-(-(span.end - span.start) // MAX_CHARACTERS_PER_TOKEN) for span in spans]
        texts = [
            self._text[span.start : span.end]
            for span, cost in zip(spans, least, strict=True)
            if cost <= self._limit
        ]
        batches = (texts[start : start + _BATCH] for start in range(0, len(texts), _BATCH))
        counts = iter([count for batch in batches for count in self._count_tokens(batch)])
        return [max(cost, next(counts)) if cost <= self._limit else cost for cost in least]
