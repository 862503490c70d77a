"""XML of any kind: its text and values, below the path of the elements around them.

    <shop><part id="7">             id: 7                   Large elements are headings: those that
      <name>Bolt</name>      ──►    name: Bolt              hold more than `LARGE` characters. Small
      <size unit="mm">5</size>      size (unit=mm): 5       ones are lines, `part.name: Bolt`.
    </part></shop>

Covers: attributes, mixed text, `title` and `head` as names of what they stand in, feeds. Opens
nothing, and expands nothing but the named characters of HTML. What is no whole XML, declares
entities or nests too deeply is read as it is written, and says so.
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from html.entities import entitydefs
from typing import Final
from xml.etree import ElementTree

from llm_api.core.rag.loaders.archive import local_name
from llm_api.core.rag.loaders.decode import clean
from llm_api.core.rag.loaders.feed import is_feed, load_feed
from llm_api.core.rag.loaders.loaded import LoadedText, TextBuilder
from llm_api.core.rag.loaders.source_code import load_code

Element = ElementTree.Element

LARGE: Final = 1_000
_MAX_DEPTH: Final = 200
_PROSE: Final = 80  # characters that need no name before them
_TITLES: Final = ("title", "head")
_LONGEST_TITLE: Final = 200


def load_xml(text: str, max_characters: int) -> LoadedText:
    root, why = _parsed(text)
    if root is None:
        return replace(load_code(text), warnings=(f"Read as it is written: {why}.",))
    if is_feed(root):
        return load_feed(root, max_characters)
    return _Elements(root, TextBuilder(max_characters)).load()


def _parsed(text: str) -> tuple[Element | None, str]:
    """The root, or None and why there is none."""
    if "<!ENTITY" in text:
        return None, "it declares entities, which are not expanded"
    # It was decoded already, whatever charset it declares.
    parser = ElementTree.XMLParser(encoding="utf-8")  # noqa: S314 - it has no entities
    parser.entity.update(entitydefs)
    try:
        parser.feed(text.encode())
        root: Element = parser.close()
    except ElementTree.ParseError as error:
        return None, f"it is no whole XML (line {error.position[0]:,})"
    if _depth(root) > _MAX_DEPTH:
        return None, f"its elements nest more than {_MAX_DEPTH} deep"
    return root, ""


def _depth(root: Element) -> int:
    level, depth = [root], 0
    while level and depth <= _MAX_DEPTH:
        level, depth = [child for element in level for child in element], depth + 1
    return depth


class _Elements:
    """Writes elements as lines, and large ones as sections."""

    def __init__(self, root: Element, builder: TextBuilder) -> None:
        self._root = root
        self._builder = builder
        self._headings: tuple[str, ...] = ()
        self._sizes: dict[Element, int] = {}

    def load(self) -> LoadedText:
        self._measure(self._root)
        self._section(self._root, (_heading(self._root),))
        return self._builder.build(_title(self._root))

    def _measure(self, element: Element) -> int:
        size = len(element.text or "") + sum(map(len, element.attrib.values()))
        for child in element:
            size += self._measure(child) + len(child.tail or "")
        if len(element):
            self._sizes[element] = size
        return size

    def _is_section(self, element: Element) -> bool:
        """Whether it has elements to tell apart, and is more than a paragraph with marks in it."""
        if self._sizes.get(element, 0) < LARGE:
            return False
        return not _has_words(element) or any(map(self._is_section, element))

    def _section(self, element: Element, headings: tuple[str, ...]) -> None:
        self._write(headings, (f"{name}: {value}" for name, value in _attributes(element)))
        self._write(headings, _stray(element.text))
        for child in element:
            if self._is_section(child):
                self._section(child, (*headings, _heading(child)))
            else:
                self._write(headings, _lines(child, ""))
                self._builder.add("\n" if len(child) else "")
            self._write(headings, _stray(child.tail))

    def _write(self, headings: tuple[str, ...], lines: Iterable[str]) -> None:
        for line in lines:
            if headings != self._headings:
                self._headings = headings
                self._builder.begin_section(headings)
            self._builder.add(f"{line}\n")


def _lines(element: Element, path: str) -> Iterator[str]:
    """A small element: its words behind its name, or those of the elements in it."""
    path = f"{path}.{local_name(element)}" if path else local_name(element)
    attributes = _attributes(element)
    if not len(element) or _has_words(element):
        words = _words(element)
        marks = ", ".join(f"{name}={value}" for name, value in attributes)
        if len(words) >= _PROSE and not marks:
            yield f"{words}\n"
        elif words or marks:
            yield f"{path} ({marks}): {words}" if words and marks else f"{path}: {words or marks}"
        return
    for name, value in attributes:
        yield f"{path}.{name}: {value}"
    for child in element:
        yield from _lines(child, path)


def _stray(text: str | None) -> Iterator[str]:
    """Text between elements, as a paragraph."""
    if words := clean(" ".join((text or "").split())):
        yield f"{words}\n"


def _has_words(element: Element) -> bool:
    """Whether text stands beside the elements in it."""
    texts = (element.text, *(child.tail for child in element))
    return any(text and not text.isspace() for text in texts)


def _words(element: Element) -> str:
    return clean(" ".join("".join(element.itertext()).split()))


def _attributes(element: Element) -> list[tuple[str, str]]:
    return [
        (name.rpartition("}")[2], clean(" ".join(value.split())))
        for name, value in element.attrib.items()
        if value.strip()
    ]


def _title(element: Element) -> str:
    """The title that stands first in an element, if any does."""
    first = next(iter(element), None)
    is_title = first is not None and local_name(first) in _TITLES
    return _words(first)[:_LONGEST_TITLE] if first is not None and is_title else ""


def _heading(element: Element) -> str:
    return _title(element) or local_name(element)
