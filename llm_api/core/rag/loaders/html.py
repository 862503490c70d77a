"""HTML: the words that a reader sees, without navigation and scripts. The one door of selectolax.

Covers: `hidden`, `aria-hidden` and `display: none` written on the element itself. Does not cover:
what style sheets or scripts hide or add.
"""

import re
from typing import Final

from selectolax.lexbor import LexborHTMLParser, LexborNode

from llm_api.core.rag.loaders.decode import clean
from llm_api.core.rag.loaders.loaded import LoadedText
from llm_api.core.rag.loaders.text_builder import HeadingPath, TextBuilder

_DROPPED: Final = re.compile(
    "script|style|noscript|template|head|nav|svg|math|iframe|object|canvas|audio|video"
    "|button|select|textarea|input|dialog"
)
_PARAGRAPH_TAG: Final = re.compile(
    "p|div|section|article|main|header|footer|aside|blockquote|pre|table|ul|ol|dl|figure|form|hr"
    "|address|details|h[1-6]"
)
_LINE_TAG: Final = re.compile("li|tr|br|dt|dd|caption|figcaption|summary")
_CELL_TAG: Final = re.compile("td|th")
_HEADING_TAG: Final = re.compile("h[1-6]")
_INVISIBLE: Final = re.compile(r"display\s*:\s*none", re.IGNORECASE)

# What stands between two pieces of text, the weakest first.
_NOTHING, _SPACE, _CELL, _LINE, _PARAGRAPH = range(5)
_GAPS: Final = ("", " ", " | ", "\n", "\n\n")


def load_html(markup: str, max_characters: int) -> LoadedText:
    tree = LexborHTMLParser(markup)
    page = _Page(TextBuilder(max_characters))
    root = tree.body or tree.root
    if root is not None:
        _walk(root, page)
    title = tree.css_first("head title")
    words = " ".join(clean(title.text()).split()) if title is not None else ""
    return page.builder.build(words or page.first_heading)


def _walk(root: LexborNode, page: "_Page") -> None:
    """Every visible node in order of the document; no recursion, however deep they nest."""
    stack: list[tuple[LexborNode, bool]] = [(root, False)]
    while stack:
        node, is_done = stack.pop()
        tag = node.tag or ""
        if is_done:
            page.leave(tag)
            if node.next is not None and stack:  # the root's neighbours are none of the page
                stack.append((node.next, False))
            continue
        stack.append((node, True))
        if tag == "-text":
            page.text(clean(node.text_content or ""))  # `&#7;` was no control character before
        elif not tag.startswith("-") and _is_visible(node, tag):
            page.enter(tag)
            if node.first_child is not None:
                stack.append((node.first_child, False))


def _is_visible(node: LexborNode, tag: str) -> bool:
    if _DROPPED.fullmatch(tag):
        return False
    if tag == "footer" and node.parent is not None and node.parent.tag == "body":
        return False
    attributes = node.attributes
    return not (
        "hidden" in attributes
        or attributes.get("aria-hidden") == "true"
        or attributes.get("role") in ("navigation", "search")
        or _INVISIBLE.search(attributes.get("style") or "")
    )


class _Page:
    """The text so far, and what is still owed before more of it."""

    def __init__(self, builder: TextBuilder) -> None:
        self.builder = builder
        self.first_heading = ""
        self._path = HeadingPath()
        self._gap = _NOTHING
        self._bullet = ""
        self._preformatted = 0
        self._cells = 0
        self._heading: list[str] | None = None
        self._heading_start = 0

    def enter(self, tag: str) -> None:
        if _CELL_TAG.fullmatch(tag):
            self._owe(_CELL)
            self._cells += 1
        self._separate(tag)
        if tag == "li":
            self._bullet = "- "
        elif tag == "pre":
            self._preformatted += 1
        elif _HEADING_TAG.fullmatch(tag):
            self._heading = []

    def leave(self, tag: str) -> None:
        self._separate(tag)
        if _CELL_TAG.fullmatch(tag):
            self._cells -= 1
        elif tag == "pre":
            self._preformatted -= 1
        elif _HEADING_TAG.fullmatch(tag):
            self._end_heading(int(tag[1]))

    def text(self, text: str) -> None:
        if self._preformatted:
            self._write(text)
            return
        words = " ".join(text.split())
        if not words or text[0].isspace():
            self._owe(_SPACE)
        if words:
            self._write(words)
            if text[-1].isspace():
                self._owe(_SPACE)

    def _separate(self, tag: str) -> None:
        if _PARAGRAPH_TAG.fullmatch(tag):
            gap = _PARAGRAPH
        else:
            gap = _LINE if _LINE_TAG.fullmatch(tag) else _NOTHING
        self._owe(min(gap, _SPACE) if self._cells else gap)

    def _owe(self, gap: int) -> None:
        self._gap = max(self._gap, gap)

    def _write(self, text: str) -> None:
        if self.builder.length:
            self.builder.add(_GAPS[self._gap])
        self._gap = _NOTHING
        if self._heading is not None:
            if not self._heading:
                self._heading_start = self.builder.length
            self._heading.append(text)
        self.builder.add(self._bullet + text)
        self._bullet = ""

    def _end_heading(self, level: int) -> None:
        title = " ".join(" ".join(self._heading or ()).split())
        self._heading = None
        if title:
            self.first_heading = self.first_heading or title
            self.builder.begin_section(self._path.enter(level, title), start=self._heading_start)
