"""HTML: the words that a reader sees, without navigation and scripts.

Covers: `hidden`, `aria-hidden` and `display: none` written on the element itself; texts that stand
for pictures; what is filled into forms; formulas; ruby. Does not cover: what style sheets or
scripts hide or add. Pictures without a description and embedded pages are named in the warnings.
"""

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Final

from selectolax.lexbor import LexborHTMLParser, LexborNode

from llm_api.core.rag.loaders.decode import clean
from llm_api.core.rag.loaders.formulas import mathml_formula
from llm_api.core.rag.loaders.html_tree import data_tables, walk
from llm_api.core.rag.loaders.loaded import LoadedText, TextBuilder
from llm_api.core.rag.loaders.page_text import Gap, PageText

_DROPPED: Final = re.compile(
    "script|style|noscript|template|head|nav|metadata|defs|symbol|button|datalist|rp|noframes"
)
_EMBEDDED: Final = re.compile("iframe|frame|object|embed|canvas|audio|video|applet")
_PARAGRAPH_TAG: Final = re.compile(
    "p|div|section|article|main|header|footer|aside|blockquote|pre|table|ul|ol|dl|figure|form|hr"
    "|address|details|dialog|h[1-6]"
)
_LINE_TAG: Final = re.compile("li|tr|br|dt|dd|caption|figcaption|summary|legend|option")
_ROW_GROUP: Final = ("thead", "tbody", "tfoot")
_HEADING_TAG: Final = re.compile("h[1-6]")
_INVISIBLE: Final = re.compile(r"display\s*:\s*none", re.IGNORECASE)
_WITHOUT_WORDS: Final = re.compile("hidden|password|submit|reset|button|image|file|color|range")


def load_html(markup: str, max_characters: int) -> LoadedText:
    tree = LexborHTMLParser(markup)
    root = tree.body or tree.root
    page = _Page(PageText(TextBuilder(max_characters)))
    if root is not None:
        page.read(root)
    title = tree.css_first("head title")
    words = " ".join(clean(title.text()).split()) if title is not None else ""
    return page.text.build(words, tuple(page.warnings()))


class _Page:
    """Tells the text what each element begins and ends."""

    def __init__(self, text: PageText) -> None:
        self.text = text
        self._data_tables: frozenset[int] = frozenset()
        # Of each table around the place: whether its rows are records. None: inside such a cell.
        self._tables: list[bool | None] = []
        self._is_in_cell = False
        self._is_in_head = False
        self._readings: list[str] = []
        self._is_reading = False
        self._pictures = 0
        self._embedded: Counter[str] = Counter()

    def read(self, root: LexborNode) -> None:
        self._data_tables = data_tables(root)
        walk(root, self._enter, self._leave)

    def warnings(self) -> Iterator[str]:
        if self._pictures:
            yield f"Pictures without a description, not read: {self._pictures:,}."
        if self._embedded:
            parts = ", ".join(f"{count:,} {tag}" for tag, count in sorted(self._embedded.items()))
            yield f"Embedded parts, not read: {parts}."

    def _enter(self, node: LexborNode, tag: str) -> bool:
        if tag == "-text":
            self._write(clean(node.text_content or ""))  # `&#7;` was no control character before
            return False
        if tag.startswith("-") or not _is_visible(node, tag):
            return False
        if _EMBEDDED.fullmatch(tag):
            self._embedded[tag] += 1
            return False
        if (words := self._instead(node, tag)) is not None:
            self.text.write_apart(clean(words))
            return False
        self._begin(node, tag)
        return True

    def _instead(self, node: LexborNode, tag: str) -> str | None:
        """What a reader sees in the place of an element that has its words elsewhere."""
        attributes = node.attributes
        match tag:
            case "img":
                self._pictures += "alt" not in attributes
                return attributes.get("alt") or ""
            case "input":
                return _filled_in(attributes)
            case "select":
                return ", ".join(_chosen(node))
            case "math":
                return mathml_formula(node)
            case _:
                return None

    def _begin(self, node: LexborNode, tag: str) -> None:
        self._separate(tag)
        if tag == "table":
            self._begin_table(node)
        elif tag in ("td", "th"):
            self._begin_cell(node, tag)
        elif tag == "li":
            self.text.begin_item()
        elif tag == "pre":
            self.text.begin_preformatted()
        elif tag == "rt":
            self._is_reading = True
        elif _HEADING_TAG.fullmatch(tag):
            self.text.begin_heading()
        elif tag in _ROW_GROUP and self._is_record():
            self._is_in_head = tag == "thead"

    def _leave(self, _: LexborNode, tag: str) -> None:
        if tag == "table" and self._tables.pop():
            self.text.end_table()
        elif tag in ("td", "th") and self._is_record():
            self.text.end_cell()
            self._is_in_cell = False
        elif tag == "tr" and self._is_record():
            self.text.end_row(is_header=self._is_in_head)
        elif tag in _ROW_GROUP and self._is_record():
            self.text.end_row_group()
        elif tag == "pre":
            self.text.end_preformatted()
        elif tag == "rt":
            self._is_reading = False
        elif tag == "ruby":
            self._end_ruby()
        elif _HEADING_TAG.fullmatch(tag):
            self.text.end_heading(int(tag[1]))
        self._separate(tag)

    def _write(self, text: str) -> None:
        if self._is_reading:
            self._readings.append(text.strip())
        else:
            self.text.write(text)

    def _end_ruby(self) -> None:
        """How signs are read stands behind them all, so that they stay one word."""
        readings = "".join(self._readings)
        self._readings = []
        if readings:
            self.text.write(f"({readings})")

    def _begin_table(self, node: LexborNode) -> None:
        is_data = node.mem_id in self._data_tables
        self._tables.append(None if self._is_in_cell else is_data)
        if self._tables[-1]:
            self.text.begin_table()
            self._is_in_head = False

    def _begin_cell(self, node: LexborNode, tag: str) -> None:
        if self._is_record():
            columns, rows = (_count(node.attributes.get(f"{way}span")) for way in ("col", "row"))
            self.text.begin_cell(columns=columns, rows=rows, is_name=tag == "th")
            self._is_in_cell = True
        elif self._tables and self._tables[-1] is None:
            self.text.separate(Gap.CELL, is_within_cell=True)
        else:
            self.text.separate(Gap.LINE)

    def _is_record(self) -> bool:
        return bool(self._tables and self._tables[-1])

    def _separate(self, tag: str) -> None:
        if _PARAGRAPH_TAG.fullmatch(tag):
            self.text.separate(Gap.PARAGRAPH)
        elif _LINE_TAG.fullmatch(tag):
            is_inner_row = tag == "tr" and self._tables[-1:] == [None]
            self.text.separate(Gap.LINE, is_within_cell=is_inner_row)
        elif tag in ("textarea", "text"):  # the latter of SVG
            self.text.separate(Gap.SPACE)


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
        or (tag == "dialog" and "open" not in attributes)
        or _INVISIBLE.search(attributes.get("style") or "")
    )


def _filled_in(attributes: Mapping[str, str | None]) -> str:
    kind = (attributes.get("type") or "text").lower()
    if kind in ("checkbox", "radio"):
        return "[x]" if "checked" in attributes else "[ ]"
    return "" if _WITHOUT_WORDS.fullmatch(kind) else attributes.get("value") or ""


def _chosen(select: LexborNode) -> list[str]:
    """The options that are shown: those selected, or else the first of a list that drops down."""
    options = select.css("option")
    chosen = [option for option in options if "selected" in option.attributes]
    if not chosen and "multiple" not in select.attributes:
        chosen = options[:1]
    return [" ".join(option.text().split()) for option in chosen]


def _count(span: str | None) -> int:
    digits = (span or "").strip()
    return int(digits) if digits.isascii() and digits.isdigit() and len(digits) < 6 else 1
