"""Markdown: the text as it was written, its sections by its headings. The door of markdown_it.

The header of a long table is a heading of it.
"""

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise

from markdown_it import MarkdownIt
from markdown_it.token import Token

from llm_api.core.rag.loaders.loaded import HeadingPath, LoadedText
from llm_api.core.rag.loaders.page_text import LONG_TABLE
from llm_api.core.rag.types import TextSection

_FRONT_MATTER = re.compile(r"---\n(.*?)\n(?:---|\.\.\.)\n", re.DOTALL)
_DELIMITERS = re.compile(r"\|?[ \t]*:?-+:?[ \t]*(?:\|[ \t]*:?-+:?[ \t]*)*\|?")
_LONGEST_HEADER = 1_000
_FRONT_TITLE = re.compile(r"^title:\s*[\"']?(.*?)[\"']?\s*$", re.MULTILINE)

# Blocks are enough to find headings; inline markup is parsed of these alone.
_BLOCKS = MarkdownIt("commonmark").disable("inline")
_INLINE = MarkdownIt("commonmark")


def load_markdown(text: str) -> LoadedText:
    front = _FRONT_MATTER.match(text)
    body = front.end() if front else 0
    offsets = [body, *(body + newline.end() for newline in re.finditer("\n", text[body:]))]
    sections = tuple(_sections(text[body:], [*offsets, len(text)]))
    return LoadedText(text, _title(front, sections), sections)


def _sections(body: str, offsets: Sequence[int]) -> Iterator[TextSection]:
    """One for each heading that is not inside a list or a quotation, and each long table."""
    path = HeadingPath()
    headings: tuple[str, ...] = ()
    for opening, content in pairwise(_BLOCKS.parse(body)):
        if opening.level or not opening.map:
            continue
        start, end = offsets[opening.map[0]], offsets[opening.map[1]]
        if opening.type == "heading_open":
            title = _title_words(content.content)
            headings = path.enter(int(opening.tag[1:]), title)
            yield TextSection(start, headings)
        elif end - start >= LONG_TABLE and (columns := _columns(content.content)):
            yield TextSection(start, (*headings, columns))
            yield TextSection(end, headings)


def _columns(paragraph: str) -> str:
    """The header of the table that this is; nothing where it is none, or the header too long."""
    header, delimiters = (*paragraph.split("\n", 2), "", "")[:2]
    if "|" not in header or max(len(header), len(delimiters)) > _LONGEST_HEADER:
        return ""
    if not _DELIMITERS.fullmatch(delimiters.strip()):
        return ""
    return " | ".join(cell.strip() for cell in header.strip().strip("|").split("|"))


def _title_words(markup: str) -> str:
    """Without its markup, unless it is long: parsing takes the square of its length."""
    if len(markup) > _LONGEST_HEADER:
        return " ".join(markup.split())
    return _words(_INLINE.parseInline(markup))


def _words(tokens: list[Token]) -> str:
    parts = [part for token in tokens for part in token.children or ()]
    return " ".join("".join(part.content for part in parts).split())


def _title(front: re.Match[str] | None, sections: tuple[TextSection, ...]) -> str:
    named = _FRONT_TITLE.search(front[1]) if front else None
    if named:
        return named[1]
    return sections[0].headings[0] if sections else ""
