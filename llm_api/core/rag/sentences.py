"""Where sentences begin and end. Pure, linear in the text, for any language by its punctuation.

Covers: abbreviations of English and a few neighbours, initials, decimals, quotes and brackets,
numbered lists, paragraphs, CJK punctuation, stops that stand apart ("so . and"). Does not cover:
languages that separate sentences by spaces alone (Thai), and abbreviations that nobody listed.
"""

# ruff: noqa: RUF001 - the marks of other scripts are what this is about

import re
from collections.abc import Iterator
from typing import Final

from llm_api.core.rag.types import Span

_ABBREVIATIONS: Final = frozenset(
    re.findall(
        r"\S+",
        """mr mrs ms dr prof st sr jr hon rev gen col sgt capt lt mme mlle vs etc cf al ca approx
        est ed eds inc ltd co corp dept univ assn bros resp viz ibid op cit bzw z.b d.h u.a usw
        evtl ggf inkl max min temp ref refs incl excl tel ext ave blvd mt""",
    )
)
_BEFORE_NUMBERS: Final = frozenset(
    re.findall(
        r"\S+",
        """no nos nr fig figs eq eqs p pp vol vols ch chap sec sect art par para tab pt app v ver
        jan feb mar apr jun jul aug sep sept oct nov dec""",
    )
)

_CLOSING: Final = "\"'”’»)\\]）」』】》〉*_"
_LONGEST_RUN: Final = 10_000  # what is longer, nobody wrote as a mark; no search is to take long
MARK: Final = re.compile("[\n。！？｡.!?…।؟]")
"""What every boundary begins with: to look for these alone is many times as fast."""

_WINDOW: Final = 64 * 1024  # characters that are searched at once: others get a turn in between

_BOUNDARY: Final = re.compile(
    rf"""
    (?P<paragraph> \n [^\S\n]{{0,{_LONGEST_RUN}}}+ \n )
    | (?P<item> \n (?= [ \t]{{0,40}} (?: [-*+•‣·#] | \d{{1,3}}[.)] ) [ \t] ) )
    | (?P<wide> [。！？｡]{{1,{_LONGEST_RUN}}}+ [{_CLOSING}]{{0,{_LONGEST_RUN}}}+ )
    | (?P<stop> [.!?…।؟]{{1,{_LONGEST_RUN}}}+ [{_CLOSING}]{{0,{_LONGEST_RUN}}}+ )
    """,
    re.VERBOSE,
)
_TO_NEXT: Final = re.compile(rf"\s{{0,{_LONGEST_RUN}}}+[\"'“‘«(\[「『【《]{{0,{_LONGEST_RUN}}}+")
_LAST_WORD: Final = re.compile(r"[^\s\"'“‘«(\[]*$")
_ACRONYM: Final = re.compile(r"(?:\w\.)+\w")
_LONGEST_WORD: Final = 30


def sentences(text: str, start: int = 0, end: int | None = None) -> Iterator[Span]:
    """Spans of `text[start:end]` that hold all of it but the white space around them."""
    end = len(text) if end is None else end
    begin = start
    for found in _boundaries(text, start, end):
        if found.lastgroup != "stop" or _ends_sentence(text, found, end):
            yield from trimmed(text, begin, found.end())
            begin = found.end()
    yield from trimmed(text, begin, end)


def _boundaries(text: str, start: int, end: int) -> Iterator[re.Match[str]]:
    behind = start
    for window in range(start, end, _WINDOW):
        for mark in MARK.finditer(text, window, min(window + _WINDOW, end)):
            if mark.start() < behind:
                continue
            if found := _BOUNDARY.match(text, mark.start(), end):
                behind = found.end()
                yield found


def trimmed(text: str, start: int, end: int) -> Iterator[Span]:
    """The span without white space around it, or none where there is nothing else."""
    piece = text[start:end]
    left = len(piece) - len(piece.lstrip())
    if left < len(piece):
        yield Span(start + left, start + len(piece.rstrip()))


def _ends_sentence(text: str, stop: re.Match[str], end: int) -> bool:
    after = _TO_NEXT.match(text, stop.end(), end)
    if after is None or after.end() == end:
        return True
    if after.end() == stop.end() or not text[stop.end()].isspace():
        return False
    mark, following = stop.group().rstrip(_CLOSING), text[after.end()]
    before = text[stop.start() - 1] if stop.start() else " "
    if before.isspace():
        return len(mark) == 1 or not following.islower()
    if following.islower():
        return False
    return mark != "." or not _is_abbreviated(text, stop.start(), following)


def _is_abbreviated(text: str, stop: int, following: str) -> bool:
    """Whether the word before the full stop at `stop` is one that such a stop belongs to."""
    before = text[max(0, stop - _LONGEST_WORD) : stop]
    found = _LAST_WORD.search(before)
    word = found.group() if found else ""
    is_first = not before.rpartition("\n")[2].removesuffix(word).strip()
    return (
        word.lower() in _ABBREVIATIONS
        or (word.lower() in _BEFORE_NUMBERS and following.isdigit())
        or (len(word) == 1 and word.isupper())
        or bool(_ACRONYM.fullmatch(word))
        or (word.isdigit() and is_first)
    )
