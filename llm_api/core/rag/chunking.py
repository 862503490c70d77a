"""Documents to chunks, along headings and sentences. Pure, and linear in the text.

1. Regions: the text between two headings. A page break ends none. A region that is nothing but
   its heading goes with the one below it.
2. Units: sentences; of one that is too long its lines; of these the words; of these equal parts.
3. Chunks: as many units as fit, after the last of the chunk before that fit into the overlap.
   Most short texts are one chunk: that is tried first.
4. Tokens of a text are not always the sum over its parts: what came out too long is halved.

All of it is lazy: to get the next chunks takes a few milliseconds, and memory for these alone.
"""

import json
import re
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, TypeAlias, TypeVar
from uuid import UUID, uuid5

from llm_api.core.rag.sentences import sentences, trimmed
from llm_api.core.rag.types import Chunk, Document, Span, TextSection

CountTokens: TypeAlias = Callable[[Sequence[str]], Sequence[int]]
"""How many tokens each text has for the embedder, without those that it puts around a text."""

MAX_BYTES_PER_TOKEN: Final = 8
"""Bytes of UTF-8 that count as a token at least, however few the embedder's tokenizer sees there.

It may call a megabyte without a space one unknown word, or a page of Thai. A model that answers
from the chunk reads it with another tokenizer: at most a token for each byte.
"""

_SHORT_BYTES_PER_TOKEN: Final = 5
"""Those of usual text. What may be one chunk by them is counted as a whole first, and only once."""

_Item = TypeVar("_Item")

_LONGEST_HEADING: Final = 200
"""Characters that each chunk below a heading keeps of it: a file may call a megabyte a heading."""

_NAMESPACE: Final = UUID("5b1f3a52-6d0c-5f0e-9c2b-7f4f7b9f3a11")
_HEADING_MARKUP: Final = 16  # characters beside its words that a line needs to be a heading
_BATCH: Final = 512  # texts counted at once,
_BATCH_CHARACTERS: Final = 32 * 1024  # and their characters: about 50 ms

_LONGEST_WORD: Final = 128 * 1024  # what is longer is cut in any case; no search is to take long
_WORD: Final = re.compile(rf"\S{{1,{_LONGEST_WORD}}}")


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
) -> Iterator[Chunk]:
    """The chunks of a document, ascending; together they hold all of it but white space.

    None has more than `chunk_tokens` tokens, nor more than MAX_BYTES_PER_TOKEN times as many bytes,
    and no word is cut that has not more by itself.
    """
    splitter = _Splitter(document.text, settings, count_tokens)
    sections = document.sections
    starts = [section.start for section in sections]
    position = 0
    for start, end, path in _regions(document):
        headings = tuple(heading[:_LONGEST_HEADING] for heading in path)
        for span in splitter.split(start, end):
            section = bisect_right(starts, span.start) - 1
            text = document.text[span.start : span.end]
            yield Chunk(
                id=str(uuid5(_NAMESPACE, json.dumps([document.id, span.start, text]))),
                document_id=document.id,
                position=position,
                text=text,
                span=span,
                headings=headings,
                page=sections[section].page if section >= 0 else None,
            )
            position += 1


def _regions(document: Document) -> Iterator[tuple[int, int, tuple[str, ...]]]:
    """Start, end and headings of the parts that no chunk reaches across."""
    end = TextSection(len(document.text))
    begin: int | None = None
    for section, following in pairwise((TextSection(0), *document.sections, end)):
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

    def split(self, start: int, end: int) -> Iterator[Span]:
        if end - start <= self._limit * _SHORT_BYTES_PER_TOKEN:
            whole = list(trimmed(self._text, start, end))
            if all(cost <= self._limit for cost in self._costs(whole)):
                yield from whole
                return
        units = self._fitting(sentences(self._text, start, end))
        was_halved = False
        for groups in _batches(self._pack(units), lambda group: group.span()):
            found, was_halved = self._verified(groups, was_halved=was_halved)
            yield from found

    def _fitting(self, spans: Iterable[Span], level: int = 0) -> Iterator[_Unit]:
        """The spans, or what they are made of as far as they are too long."""
        for batch in _batches(spans, lambda span: span):
            for span, cost in zip(batch, self._costs(batch), strict=True):
                if cost <= self._limit or span.end - span.start == 1:
                    yield _Unit(span, cost)
                else:
                    yield from self._fitting(self._parts(span, cost, level), level + 1)

    def _parts(self, span: Span, cost: int, level: int) -> Iterator[Span]:
        if level == 0:
            return _lines(self._text, span)
        if level == 1:
            words = _WORD.finditer(self._text, span.start, span.end)
            return (Span(word.start(), word.end()) for word in words)
        return _equal_parts(span, -(-cost // self._limit))

    def _pack(self, units: Iterable[_Unit]) -> Iterator[_Group]:
        """The units in groups that fit into a chunk each."""
        overlap: list[_Unit] = []
        new: list[_Unit] = []
        cost = 0
        for unit in units:
            if new and cost + unit.cost > self._limit:
                yield _Group(overlap, new)
                overlap = _last(new[1:], min(self._overlap, self._limit - unit.cost))
                cost = sum(one.cost for one in overlap)
                new = []
            new.append(unit)
            cost += unit.cost
        if new:
            yield _Group(overlap, new)

    def _verified(
        self, groups: Sequence[_Group], *, was_halved: bool = False
    ) -> tuple[list[Span], bool]:
        """The chunks of the groups; `was_halved`: whether the last one, or that before, was.

        The overlap with a group that was halved would begin before its second half does.
        """
        spans = [group.span() for group in groups]
        found: list[Span] = []
        for group, span, cost in zip(groups, spans, self._costs(spans), strict=True):
            fits = cost <= self._limit or len(group.overlap) + len(group.new) == 1
            if fits and not (was_halved and group.overlap):
                found.append(span)
                was_halved = False
            else:
                smaller, _ = self._verified(group.smaller())
                found += smaller
                was_halved = len(smaller) > 1
        return found, was_halved

    def _costs(self, spans: Sequence[Span]) -> list[int]:
        """Tokens of each span; only bytes are counted where these are too many already."""
        least = [self._least(span) for span in spans]
        texts = [
            self._text[span.start : span.end]
            for span, cost in zip(spans, least, strict=True)
            if cost <= self._limit
        ]
        counts = iter(self._count_tokens(texts) if texts else ())
        return [max(cost, next(counts)) if cost <= self._limit else cost for cost in least]

    def _least(self, span: Span) -> int:
        """What the bytes cost; of a long text the characters, which are no more."""
        size = span.end - span.start
        if size <= self._limit * MAX_BYTES_PER_TOKEN:
            size = len(self._text[span.start : span.end].encode("utf-8", "replace"))
        return -(-size // MAX_BYTES_PER_TOKEN)


def _lines(text: str, span: Span) -> Iterator[Span]:
    start = span.start
    while start < span.end:
        newline = text.find("\n", start, span.end)
        end = span.end if newline < 0 else newline
        yield from trimmed(text, start, end)
        start = end + 1


def _equal_parts(span: Span, least: int) -> Iterator[Span]:
    """At least so many, as halving gives them, unless it has not as many characters."""
    size = span.end - span.start
    count = min(1 << max(1, (least - 1).bit_length()), size)
    for part in range(count):
        yield Span(span.start + part * size // count, span.start + (part + 1) * size // count)


def _last(units: Sequence[_Unit], room: int) -> list[_Unit]:
    """The last units that fit into the room."""
    begin, cost = len(units), 0
    while begin and cost + units[begin - 1].cost <= room:
        begin -= 1
        cost += units[begin].cost
    return list(units[begin:])


def _batches(items: Iterable[_Item], span_of: Callable[[_Item], Span]) -> Iterator[list[_Item]]:
    """What is counted at once."""
    batch: list[_Item] = []
    characters = 0
    for item in items:
        span = span_of(item)
        batch.append(item)
        characters += span.end - span.start
        if len(batch) == _BATCH or characters >= _BATCH_CHARACTERS:
            yield batch
            batch, characters = [], 0
    if batch:
        yield batch
