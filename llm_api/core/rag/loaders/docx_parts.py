"""What mammoth does not read of a DOCX, put where it does: formulas, ruby, shapes, page headers.

Also counts what stays unread. Deleted words of tracked changes are no part of the text.
"""

import io
import re
import zipfile
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Final
from xml.etree import ElementTree

from llm_api.core.rag.loaders.archive import local_name, markup_of, read_member
from llm_api.core.rag.loaders.formulas import office_formula

Element = ElementTree.Element

_MAIN_PART: Final = re.compile(
    rb'PartName="/?([^"]+)"\s+ContentType="[^"]*(?:document|template)\.main\+xml"'
    rb'|ContentType="[^"]*(?:document|template)\.main\+xml"\s+PartName="/?([^"]+)"'
)
_MAIN: Final = "word/document.xml"
_HEADER: Final = re.compile(r"word/header\d*\.xml")
_FOOTER: Final = re.compile(r"word/footer\d*\.xml")
_NOTES: Final = ("word/footnotes.xml", "word/endnotes.xml")
_COMMENTS: Final = "word/comments.xml"
_ATTACHED: Final = ("word/media/", "word/embeddings/")
_UNREAD: Final = {
    "imagedata": "pictures without a description",
    "altChunk": "embedded documents",
}
_WRAPPERS: Final = ("dir", "bdo", "hyperlink", "fldSimple")


def readable_docx(archive: zipfile.ZipFile) -> tuple[bytes, tuple[str, ...]]:
    """The same document for mammoth, and what of it is not read, in sentences."""
    names = archive.namelist()
    found = _MAIN_PART.search(read_member(archive, "[Content_Types].xml"))
    main = next(filter(None, found.groups())).decode() if found else _MAIN
    parts = {name: _Part(read_member(archive, name)) for name in (main, *_NOTES) if name in names}
    edges = {name: _Part(read_member(archive, name)) for name in sorted(names) if _is_edge(name)}
    if main in parts:
        headers = [part for name, part in edges.items() if _HEADER.fullmatch(name)]
        footers = [part for name, part in edges.items() if _FOOTER.fullmatch(name)]
        parts[main].surround(_blocks(headers), _blocks(footers))
    unread = sum((part.unread for part in (*parts.values(), *edges.values())), Counter[str]())
    unread["embedded files"] += sum(name.startswith("word/embeddings/") for name in names)
    if _COMMENTS in names:
        unread["comments"] += read_member(archive, _COMMENTS).count(b"</w:comment>")
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as readable:
        for name in dict.fromkeys(names):
            if name in parts:
                readable.writestr(name, parts[name].markup())
            elif not name.startswith(_ATTACHED) and not name.endswith("/"):
                readable.writestr(name, read_member(archive, name))
    return packed.getvalue(), tuple(_sentences(unread))


def _is_edge(name: str) -> bool:
    return bool(_HEADER.fullmatch(name) or _FOOTER.fullmatch(name))


def _sentences(unread: Counter[str]) -> Iterator[str]:
    for what, count in sorted((+unread).items()):
        yield f"{what.capitalize()}, not read: {count:,}."


def _blocks(parts: Iterable["_Part"]) -> list[Element]:
    """The paragraphs of page headers or footers, each once however many sections repeat them."""
    blocks: dict[str, list[Element]] = {}
    for part in parts:
        words = "".join(part.root.itertext()).strip()
        if words:
            blocks.setdefault(words, list(part.root))
    return [block for several in blocks.values() for block in several]


class _Part:
    """The markup of one part, with words where there were only objects."""

    def __init__(self, data: bytes) -> None:
        self.root = markup_of(data)
        self.unread: Counter[str] = Counter()
        self._space = self.root.tag.partition("}")[0] + "}"
        for parent in reversed(list(self.root.iter())):
            self._replace_children(parent)
            if local_name(parent) == "tbl":
                self._name_columns(parent)

    def markup(self) -> bytes:
        return ElementTree.tostring(self.root)

    def surround(self, above: list[Element], below: list[Element]) -> None:
        body = self.root.find(f"{self._space}body")
        if body is not None:
            section = [child for child in body if local_name(child) == "sectPr"]
            inner = [child for child in body if local_name(child) != "sectPr"]
            body[:] = [*above, *inner, *below, *section]

    def _name_columns(self, table: Element) -> None:
        """Mark the first row of a table that holds tables: else it is taken for a layout."""
        rows = [row for row in table if local_name(row) == "tr"]
        inner = (one for row in rows for cell in row for one in cell if local_name(one) == "tbl")
        if len(rows) < 2 or next(inner, None) is None or _cells(rows[0]) < 2:
            return
        properties = Element(f"{self._space}trPr")
        properties.append(Element(f"{self._space}tblHeader"))
        rows[0][:] = [properties, *(one for one in rows[0] if local_name(one) != "trPr")]

    def _replace_children(self, parent: Element) -> None:
        """Its grandchildren have been replaced already."""
        replaced: list[Element] = []
        is_changed = False
        for child in parent:
            instead = self._instead(child)
            is_changed = is_changed or instead is not None
            replaced += [child] if instead is None else instead
        if is_changed:
            parent[:] = replaced

    def _instead(self, element: Element) -> list[Element] | None:
        """What stands for this element; None where it may stay."""
        kind = local_name(element)
        instead: list[Element] | None = None
        if kind in ("oMath", "oMathPara"):
            instead = [self._run(_formulas(element, kind))]
        elif kind == "ruby":
            instead = [self._text(_ruby(element))]
        elif kind == "AlternateContent":
            instead = _better(element)
        elif kind == "drawing":
            instead = self._drawing(element)
        elif kind in _UNREAD:
            self.unread[_UNREAD[kind]] += 1
            instead = []
        elif kind in _WRAPPERS:
            instead = [child for child in element if not local_name(child).endswith("Pr")]
        return instead

    def _drawing(self, drawing: Element) -> list[Element]:
        """Its description, and the words of its shapes."""
        boxes = [box for box in drawing.iter() if local_name(box) == "txbxContent"]
        names = Counter(map(local_name, drawing.iter()))
        words = [_description(drawing), *_shape_words(drawing)]
        if not words[0]:
            self.unread["pictures without a description"] += names["pic"]
        self.unread["charts"] += names["chart"]
        self.unread["diagrams"] += names["relIds"]
        found = " ".join(filter(None, words))
        instead = [self._text(f" {found} ")] if found else []
        if boxes:
            shape = Element(f"{self._space}pict")
            shape.extend(boxes)
            instead.append(shape)
        return instead

    def _run(self, words: str) -> Element:
        run = Element(f"{self._space}r")
        run.append(self._text(words))
        return run

    def _text(self, words: str) -> Element:
        text = Element(f"{self._space}t")
        text.text = words
        return text


def _cells(row: Element) -> int:
    return sum(local_name(one) == "tc" for one in row)


def _formulas(element: Element, kind: str) -> str:
    if kind == "oMath":
        return office_formula(element)
    # Those inside have become runs already.
    return " ".join(
        "".join(one.itertext()) for one in element if not local_name(one).endswith("Pr")
    )


def _ruby(element: Element) -> str:
    """The signs, and how they are read in brackets."""
    found = {local_name(part): "".join(part.itertext()) for part in element}
    reading = found.get("rt", "")
    return found.get("rubyBase", "") + (f"({reading})" if reading else "")


def _better(alternatives: Element) -> list[Element]:
    """The fallback, which mammoth would read, unless words stand in the choice alone."""
    choices = {local_name(each): each for each in reversed(alternatives)}
    fallback, choice = choices.get("Fallback"), choices.get("Choice")
    best = fallback if fallback is not None and _has_words(fallback) else choice
    return list(best if best is not None else fallback if fallback is not None else ())


def _has_words(element: Element) -> bool:
    return any(local_name(part) == "t" and (part.text or "").strip() for part in element.iter())


def _description(drawing: Element) -> str:
    for properties in drawing.iter():
        if local_name(properties) == "docPr":
            return properties.get("descr", "").strip()
    return ""


def _shape_words(drawing: Element) -> Iterator[str]:
    """Words of shapes that are drawn, not typed into a box of Word's own."""
    for text in drawing.iter():
        if "drawingml" in text.tag and local_name(text) == "t":
            yield text.text or ""
