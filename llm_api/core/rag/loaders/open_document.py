"""OpenDocument (ODT, ODS, ODP): its text by way of HTML.

Covers: headings, lists, tables with spans, notes, slides, descriptions of pictures. Leaves out
deleted words of tracked changes and comments. Does not cover: page headers, formulas, charts.
"""

import zipfile
from collections.abc import Iterator
from html import escape
from typing import Final
from xml.etree import ElementTree

from llm_api.core.errors import UnreadableFileError
from llm_api.core.rag.loaders.archive import attribute, local_name, markup_of, read_member
from llm_api.core.rag.loaders.html import load_html
from llm_api.core.rag.loaders.loaded import LoadedText

Element = ElementTree.Element

_CONTENT: Final = "content.xml"
_ENCRYPTION: Final = b"encryption-data"
_MANIFEST: Final = "META-INF/manifest.xml"
_DROPPED: Final = (
    "tracked-changes",
    "annotation",
    "note-citation",
    "forms",
    "covered-table-cell",
    "notes",
)
_TAGS: Final = {
    "p": "p",
    "list": "ul",
    "list-item": "li",
    "table-header-rows": "thead",
    "note-body": "div",
}
_MOST_SPACES: Final = 100
_MOST_REPEATED: Final = 1_000
_MAX_DEPTH: Final = 200


def load_open_document(archive: zipfile.ZipFile, max_characters: int) -> LoadedText:
    names = archive.namelist()
    if _MANIFEST in names and _ENCRYPTION in read_member(archive, _MANIFEST):
        raise UnreadableFileError("it is encrypted: save it without a password")
    root = markup_of(read_member(archive, _CONTENT))
    body = next((one for one in root if local_name(one) == "body"), root)
    return load_html("".join(_inside(body, 0)), max_characters)


def _inside(element: Element, depth: int) -> Iterator[str]:
    """What stands in an element, as HTML."""
    if depth > _MAX_DEPTH:
        raise UnreadableFileError("it nests too deeply")
    yield escape(element.text or "")
    for child in element:
        yield from _shown(child, depth + 1)
        yield escape(child.tail or "")


def _shown(element: Element, depth: int) -> Iterator[str]:
    kind = local_name(element)
    if kind in _DROPPED:
        return
    if kind in _TAGS:
        yield from _enclosed(element, _TAGS[kind], depth)
    else:
        yield from _SHOWN.get(kind, _inside)(element, depth)


def _spaces(element: Element, _: int) -> Iterator[str]:
    yield " " * min(_count(element, "c"), _MOST_SPACES)


def _heading(element: Element, depth: int) -> Iterator[str]:
    yield from _enclosed(element, f"h{min(_count(element, 'outline-level'), 6)}", depth)


def _slide(page: Element, depth: int) -> Iterator[str]:
    yield f"<section><h2>{escape(attribute(page, 'name'))}</h2>"
    yield from _inside(page, depth)
    yield "</section>"


def _table(table: Element, depth: int) -> Iterator[str]:
    if _is_sheet(table):
        yield f"<h2>{escape(attribute(table, 'name'))}</h2>"
    yield from _enclosed(table, "table", depth)


def _row(row: Element, depth: int) -> Iterator[str]:
    markup = "".join(_enclosed(row, "tr", depth))
    yield markup * _times(row, "number-rows-repeated")


def _enclosed(element: Element, tag: str, depth: int, attributes: str = "") -> Iterator[str]:
    yield f"<{tag}{attributes}>"
    yield from _inside(element, depth)
    yield f"</{tag}>"


def _cell(cell: Element, depth: int) -> Iterator[str]:
    columns, rows = _count(cell, "number-columns-spanned"), _count(cell, "number-rows-spanned")
    markup = "".join(_enclosed(cell, "td", depth, f' colspan="{columns}" rowspan="{rows}"'))
    yield markup * _times(cell, "number-columns-repeated")


def _times(element: Element, name: str) -> int:
    """How often it stands there. What is empty is repeated to the margin of the sheet: once."""
    has_words = any(text.strip() for text in element.itertext())
    return min(_count(element, name), _MOST_REPEATED) if has_words else 1


def _frame(frame: Element, depth: int) -> Iterator[str]:
    """A picture by its description, or a box with words."""
    kinds = {local_name(one): one for one in frame}
    texts = [kinds[name].text or "" for name in ("title", "desc") if name in kinds]
    if "image" in kinds and "object" not in kinds:
        yield f'<img alt="{escape(" ".join(texts))}">' if any(texts) else "<img>"
        return
    for child in frame:
        if local_name(child) not in ("title", "desc", "image"):
            yield from _shown(child, depth + 1)


def _is_sheet(table: Element) -> bool:
    return bool(attribute(table, "name")) and any(
        local_name(one) in ("table-column", "table-columns") for one in table
    )


def _count(element: Element, name: str) -> int:
    value = attribute(element, name)
    return max(1, int(value)) if value.isdecimal() and len(value) < 10 else 1


_SHOWN: Final = {
    "s": _spaces,
    "tab": lambda *_: iter("\t"),
    "line-break": lambda *_: iter(["<br>"]),
    "h": _heading,
    "page": _slide,
    "table": _table,
    "table-row": _row,
    "table-cell": _cell,
    "frame": _frame,
}
