"""Tables as lines of text: every value stands in its own column, whatever is empty or merged. Pure.

    <th>Name <th>Qty <th>Price          Name | Qty | Price
    <td rowspan=2>Bolt <td> <td>5       Bolt |  | 5
    <td colspan=2>sold out              Bolt | sold out |

A cell that spans rows is repeated in each, for each row is true alone. One that spans columns
stands in the first of them; a name above several columns stands above each.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest
from typing import Final

from llm_api.core.errors import UnreadableFileError

_BAR: Final = " | "
_MOST_COLUMNS: Final = 1_000
_MOST_ROWS: Final = 65_534  # as HTML bounds a span
_MOST_CARRIED: Final = 1_000_000
_LONGEST_HEADER: Final = 1_000


@dataclass(frozen=True, slots=True)
class Cell:
    words: str
    columns: int = 1
    rows: int = 1
    is_name: bool = False


@dataclass(slots=True)
class TableText:
    """The lines of one table, row by row from the top."""

    _row: int = 0
    _carried: int = 0
    _spanning: dict[int, tuple[int, str]] = field(default_factory=dict)
    _names: list[list[str]] = field(default_factory=list)
    _first: list[str] | None = None

    def line(self, cells: Sequence[Cell], *, is_header: bool) -> str:
        """The next row; empty where there is nothing in it.

        Raises `UnreadableFileError` for a table with more merged cells than anybody writes.
        """
        self._row += 1
        spanning = self._spanning_here()
        is_title = len(cells) == 1 and not spanning
        values = self._values(cells, spanning)
        if is_title:  # it stands across the table
            return cells[0].words
        if self._first is None and (is_header or (cells and all(cell.is_name for cell in cells))):
            self._names.append(values)
        elif self._first is None:
            self._first = values
        return _BAR.join(values) if any(values) else ""

    def end_group(self) -> None:
        """Nothing spans from the head of a table into its body."""
        self._spanning.clear()

    def header(self) -> str:
        """What names the columns; empty where nothing does, or where that is too long."""
        first = self._first or []
        rows = self._names or ([first] if _are_names(first) else [])
        columns = zip_longest(*rows, fillvalue="")
        text = _BAR.join(" ".join(dict.fromkeys(filter(None, column))) for column in columns)
        return text if len(text) <= _LONGEST_HEADER else ""

    def _values(self, cells: Iterable[Cell], spanning: Mapping[int, str]) -> list[str]:
        values: list[str] = []
        for cell in cells:
            while len(values) in spanning:
                values.append(spanning[len(values)])
            for index in range(max(1, min(cell.columns, _MOST_COLUMNS - len(values)))):
                words = cell.words if index == 0 or cell.is_name else ""
                if cell.rows > 1:
                    last = self._row + min(cell.rows, _MOST_ROWS) - 1
                    self._spanning[len(values)] = last, words
                values.append(words)
        for _ in range(len(values), max(spanning, default=-1) + 1):
            values.append(spanning.get(len(values), ""))
        return values

    def _spanning_here(self) -> dict[int, str]:
        """What spans into this row from above, by column."""
        if not self._spanning:
            return {}
        self._carried += len(self._spanning)
        if self._carried > _MOST_CARRIED:
            raise UnreadableFileError("a table in it has too many merged cells")
        self._spanning = {
            column: span for column, span in self._spanning.items() if span[0] >= self._row
        }
        return {column: words for column, (_, words) in self._spanning.items()}


def _are_names(row: Sequence[str]) -> bool:
    """Whether a first row that nothing marks reads as names. Two columns may be name and value."""
    return len(row) > 2 and all(value and not value[0].isdigit() for value in row)
