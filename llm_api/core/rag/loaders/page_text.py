"""A page of marked-up text as plain text: what stands between words, headings, lists and tables.

Knows no markup: it is told what begins and ends.
"""

from dataclasses import dataclass, field
from enum import IntEnum
from typing import Final

from llm_api.core.rag.loaders.loaded import HeadingPath, LoadedText, TextBuilder
from llm_api.core.rag.loaders.table_text import Cell, TableText

LONG_TABLE: Final = 500
"""Characters that may come into several chunks: its header is a heading for each of them."""


class Gap(IntEnum):
    """What stands between two pieces of text, the weakest first."""

    NOTHING = 0
    SPACE = 1
    CELL = 2
    LINE = 3
    PARAGRAPH = 4


_GAPS: Final = ("", " ", " | ", "\n", "\n\n")
_GAPS_IN_CELL: Final = ("", " ", ", ", "; ", "; ")


@dataclass(slots=True)
class _OpenCell:
    columns: int
    rows: int
    is_name: bool
    parts: list[str] = field(default_factory=list)
    gap: Gap = Gap.NOTHING


@dataclass(slots=True)
class _OpenTable:
    text: TableText = field(default_factory=TableText)
    cells: list[Cell] = field(default_factory=list)
    start: int | None = None


class PageText:
    """The text so far, and what is still owed before more of it."""

    def __init__(self, builder: TextBuilder) -> None:
        self._builder = builder
        self._first_heading = ""
        self._path = HeadingPath()
        self._headings: tuple[str, ...] = ()
        self._gap = Gap.NOTHING
        self._bullet = ""
        self._preformatted = 0
        self._heading: list[str] | None = None
        self._heading_start = 0
        self._tables: list[_OpenTable] = []
        self._cell: _OpenCell | None = None
        self._is_below_table = False

    def build(self, title: str, warnings: tuple[str, ...]) -> LoadedText:
        return self._builder.build(title or self._first_heading, warnings=warnings)

    def separate(self, gap: Gap, *, is_within_cell: bool = False) -> None:
        """Owe this before more text. A gap that ends lines does not end those of a table."""
        if self._cell is None:
            self._gap = max(self._gap, gap)
        else:
            most = gap if is_within_cell else min(gap, Gap.SPACE)
            self._cell.gap = max(self._cell.gap, most)

    def write(self, text: str) -> None:
        if self._preformatted and self._cell is None:
            self._add(text)
            return
        words = " ".join(text.split())
        if not words or text[0].isspace():
            self.separate(Gap.SPACE)
        if words:
            self._add(words)
            if text[-1].isspace():
                self.separate(Gap.SPACE)

    def write_apart(self, words: str) -> None:
        """Words that no white space separates from their neighbours, but for the eye."""
        self.separate(Gap.SPACE)
        self.write(words)
        self.separate(Gap.SPACE)

    def begin_item(self) -> None:
        self._bullet = "- "

    def begin_preformatted(self) -> None:
        self._preformatted += 1

    def end_preformatted(self) -> None:
        self._preformatted -= 1

    def begin_heading(self) -> None:
        if self._cell is None:
            self._heading = []

    def end_heading(self, level: int) -> None:
        title = " ".join(" ".join(self._heading or ()).split())
        self._heading = None
        if title:
            self._first_heading = self._first_heading or title
            self._headings = self._path.enter(level, title)
            self._builder.begin_section(self._headings, start=self._heading_start)

    def begin_table(self) -> None:
        """A table of data; one inside a cell is a part of its words, and not told of."""
        self._tables.append(_OpenTable())

    def end_table(self) -> None:
        table = self._tables.pop()
        if table.start is None or self._builder.length - table.start < LONG_TABLE:
            return
        if header := table.text.header():
            self._builder.begin_section((*self._headings, header), start=table.start)
            self._is_below_table = True

    def end_row_group(self) -> None:
        self._tables[-1].text.end_group()

    def begin_cell(self, *, columns: int, rows: int, is_name: bool) -> None:
        self._cell = _OpenCell(columns, rows, is_name)

    def end_cell(self) -> None:
        if (cell := self._cell) is not None:
            self._cell = None
            words = " ".join("".join(cell.parts).split())
            self._tables[-1].cells.append(Cell(words, cell.columns, cell.rows, cell.is_name))

    def end_row(self, *, is_header: bool) -> None:
        table = self._tables[-1]
        line = table.text.line(table.cells, is_header=is_header)
        table.cells = []
        if line.strip():
            self.separate(Gap.LINE)
            start = self._add(line)
            table.start = start if table.start is None else table.start
            self.separate(Gap.LINE)

    def _add(self, text: str) -> int:
        """Write what is owed and this; returns where it begins."""
        if self._cell is not None:
            if self._cell.parts:
                self._cell.parts.append(_GAPS_IN_CELL[self._cell.gap])
            self._cell.gap = Gap.NOTHING
            self._cell.parts.append(self._bullet + text)
            self._bullet = ""
            return self._builder.length
        if self._builder.length:
            self._builder.add(_GAPS[self._gap])
        self._gap = Gap.NOTHING
        start = self._builder.length
        if self._is_below_table:
            self._builder.begin_section(self._headings)
            self._is_below_table = False
        if self._heading is not None:
            if not self._heading:
                self._heading_start = start
            self._heading.append(text)
        self._builder.add(self._bullet + text)
        self._bullet = ""
        return start
