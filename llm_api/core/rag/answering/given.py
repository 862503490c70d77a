"""Sources that a request brings itself: what a model reads, and where words stand. Pure.

They stay where the client has put them, in any turn. Those that are to be cited have numbers, which
run through the whole conversation: what was said before keeps its tokens when a turn with more
follows. A long source has a number for each of its pieces, so the model itself says where in it.
"""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, Literal, TypeAlias

from llm_api.core.errors import ContextLengthExceededError, InvalidRequestError
from llm_api.core.rag.answering.citations import Citation
from llm_api.core.rag.answering.prompt import attribute, delimited, numbered
from llm_api.core.rag.sentences import sentences
from llm_api.core.rag.types import Chunk, Span, TextSection

Sort: TypeAlias = Literal["document", "search_result"]
Division: TypeAlias = Literal["characters", "pages", "blocks"]
"""By what a place in a source is told: characters from 0, pages from 1, blocks from 0."""

BETWEEN_BLOCKS: Final = "\n\n"

PIECE_CHARACTERS: Final = 2_000
"""A longer source is numbered in pieces of about so many characters, whole sentences each."""

MOST_PIECES: Final = 9_999
"""What a marker can name: more text than any model's context."""


@dataclass(frozen=True, slots=True)
class GivenSource:
    """A source's text. `context` is told to the model beside it, and never cited.

    `parts` are its pages or blocks in order: number, and the character that each begins at.
    """

    text: str
    title: str = ""
    context: str = ""
    sort: Sort = "document"
    division: Division = "characters"
    parts: tuple[tuple[int, int], ...] = ()

    def place_of(self, span: Span) -> Span:
        """Characters in the terms of `division`: the parts that they touch, the end excluded."""
        if not self.parts:
            return span
        return Span(self._part_at(span.start), self._part_at(max(span.start, span.end - 1)) + 1)

    def begins_in(self, place: Span, span: Span) -> bool:
        """Whether a place in terms of `division` begins within these characters."""
        within = self.place_of(span)
        return within.start <= place.start < within.end

    def whole_blocks(self, blocks: Span) -> str:
        """The words of these blocks."""
        starts = [start for _, start in self.parts]
        ends = [start - len(BETWEEN_BLOCKS) for start in starts[1:]] + [len(self.text)]
        return self.text[starts[blocks.start] : ends[blocks.end - 1]]

    def _part_at(self, position: int) -> int:
        found = bisect_right(self.parts, position, key=lambda part: part[1])
        return self.parts[max(0, found - 1)][0]


def given_pages(
    text: str, sections: Sequence[TextSection], title: str = "", context: str = ""
) -> GivenSource:
    """The text of a file as a source: cited by its pages, where it has any."""
    first: dict[int, int] = {}
    for section in sections:
        if section.page is not None:
            first.setdefault(section.page, section.start)
    source = GivenSource(text, title, context)
    return replace(source, division="pages", parts=tuple(first.items())) if first else source


def given_blocks(
    blocks: Sequence[str], title: str = "", context: str = "", sort: Sort = "document"
) -> GivenSource:
    """Blocks of text as one source. Blocks are never divided further by those who cite them."""
    parts, position = [], 0
    for number, block in enumerate(blocks):
        parts.append((number, position))
        position += len(block) + len(BETWEEN_BLOCKS)
    return GivenSource(BETWEEN_BLOCKS.join(blocks), title, context, sort, "blocks", tuple(parts))


@dataclass(frozen=True, slots=True)
class GivenCitation:
    """What the text so far is taken from: `quote` of a source, word by word.

    `index` counts the sources of its sort from 0. `place` is in terms of `source.division`, the end
    excluded.
    """

    source: GivenSource
    index: int
    place: Span
    quote: str


@dataclass(frozen=True, slots=True)
class _Piece:
    """Characters `span` of a source, which is number `index` of its sort."""

    source: GivenSource
    index: int
    span: Span

    @property
    def text(self) -> str:
        return self.source.text[self.span.start : self.span.end]


@dataclass(slots=True)
class GivenSources:
    """The sources of one request, taken in as they stand in its conversation."""

    _pieces: list[_Piece] = field(default_factory=list)
    _counts: dict[Sort, int] = field(default_factory=dict)
    _is_cited: dict[Sort, bool] = field(default_factory=dict)

    @property
    def are_cited(self) -> bool:
        return bool(self._pieces)

    def add(self, source: GivenSource, *, is_cited: bool, param: str) -> str:
        """The source as the model reads it at its place in the turn.

        Raises InvalidRequestError where some sources of a sort are to be cited and some are not,
        ContextLengthExceededError for more than can be numbered.
        """
        if self._is_cited.setdefault(source.sort, is_cited) != is_cited:
            raise InvalidRequestError(
                f"'{param}': citations are enabled for all of the {source.sort} blocks of a"
                " request, or for none.",
                param=param,
            )
        index = self._counts.get(source.sort, 0)
        self._counts[source.sort] = index + 1
        if not is_cited:
            return f"<source {_shown(source, source.text)}"
        first = len(self._pieces) + 1
        pieces = [_Piece(source, index, span) for span in _cut(source.text)]
        self._pieces += pieces
        if len(self._pieces) > MOST_PIECES:
            raise ContextLengthExceededError(
                f"'{param}': the sources hold more text than any model can read at once.",
                param=param,
            )
        return "\n".join(
            numbered(number, _shown(source, piece.text, has_context=number == first))
            for number, piece in enumerate(pieces, first)
        )

    def marker(self, sort: Sort, index: int, place: Span) -> str:
        """How an earlier answer named the source; nothing for a place that is not cited here."""
        for number, piece in enumerate(self._pieces, 1):
            source = piece.source
            if (source.sort, piece.index) == (sort, index) and source.begins_in(place, piece.span):
                return f" [{number}]"
        return ""

    def chunks(self) -> list[Chunk]:
        """What is cited, `[1]` first."""
        return [
            Chunk(str(number), str(number), 0, piece.text, piece.span)
            for number, piece in enumerate(self._pieces, 1)
        ]

    def placed(self, citation: Citation) -> GivenCitation:
        """A citation in the terms of its source."""
        piece = self._pieces[citation.number - 1]
        source = piece.source
        place = source.place_of(citation.span)
        quote = source.whole_blocks(place) if source.division == "blocks" else citation.quote
        return GivenCitation(source, piece.index, place, quote)


def _cut(text: str) -> list[Span]:
    """Spans of whole sentences that are all of the text; sentences that are too long are cut."""
    starts = [0]
    for position in _ends_of_sentences(text):
        if position - starts[-1] >= PIECE_CHARACTERS:
            starts.append(position)
    ends = [*starts[1:], len(text)]
    return [Span(start, end) for start, end in zip(starts, ends, strict=True) if start < end]


def _ends_of_sentences(text: str) -> Iterator[int]:
    for span in sentences(text):
        yield from range(span.start + PIECE_CHARACTERS, span.end, PIECE_CHARACTERS)
        yield span.end


def _shown(source: GivenSource, text: str, *, has_context: bool = True) -> str:
    context = attribute("context", source.context) if has_context else ""
    attributes = [attribute("name", source.title), context]
    return delimited(" ".join(filter(None, attributes)), text)
