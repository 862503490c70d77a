"""Markdown: the text as it was written, its sections by its headings. The door of markdown_it."""

import re
from collections.abc import Iterator
from itertools import pairwise

from markdown_it import MarkdownIt
from markdown_it.token import Token

from llm_api.core.rag.loaders.loaded import LoadedText
from llm_api.core.rag.loaders.text_builder import HeadingPath
from llm_api.core.rag.types import Section

_FRONT_MATTER = re.compile(r"---\n(.*?)\n(?:---|\.\.\.)\n", re.DOTALL)
_FRONT_TITLE = re.compile(r"^title:\s*[\"']?(.*?)[\"']?\s*$", re.MULTILINE)

# Blocks are enough to find headings; inline markup is parsed of these alone.
_BLOCKS = MarkdownIt("commonmark").disable("inline")
_INLINE = MarkdownIt("commonmark")


def load_markdown(text: str) -> LoadedText:
    front = _FRONT_MATTER.match(text)
    body = front.end() if front else 0
    offsets = [body, *(body + newline.end() for newline in re.finditer("\n", text[body:]))]
    path = HeadingPath()
    sections = tuple(
        Section(offsets[line], path.enter(level, title))
        for line, level, title in _headings(text[body:])
    )
    return LoadedText(text, _title(front, sections), sections)


def _headings(text: str) -> Iterator[tuple[int, int, str]]:
    """Line, level and words of each heading that is not inside a list or a quotation."""
    tokens = _BLOCKS.parse(text)
    for opening, content in pairwise(tokens):
        if opening.type == "heading_open" and opening.level == 0 and opening.map:
            yield opening.map[0], int(opening.tag[1:]), _words(_INLINE.parseInline(content.content))


def _words(tokens: list[Token]) -> str:
    parts = [part for token in tokens for part in token.children or ()]
    return " ".join("".join(part.content for part in parts).split())


def _title(front: re.Match[str] | None, sections: tuple[Section, ...]) -> str:
    named = _FRONT_TITLE.search(front[1]) if front else None
    if named:
        return named[1]
    return sections[0].headings[0] if sections else ""
