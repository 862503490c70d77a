"""Tables of a page whose cells are told apart by drawn lines. Pure.

Lines that cross are one table. Where none is drawn between two cells of its grid, they are one:
merged across columns, rows or both. Does not cover: tables with lines under their rows alone, which
`page_layout` tells by what they leave free.
"""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from llm_api.core.rag.loaders.page_layout import PlacedText, joined, lines_of, table_lines
from llm_api.core.rag.loaders.table_text import Cell

_THIN: Final = 3.0
_NEAR: Final = 2.5
_SHORTEST: Final = 6.0
_MOST_RULES: Final = 1_000
_MOST_PAIRS: Final = 200_000
_MOST_CELLS: Final = 5_000


@dataclass(frozen=True, slots=True)
class DrawnLine:
    """A drawn line, along x or y: at `place`, from `start` to `end`."""

    place: float
    start: float
    end: float

    def is_at(self, place: float, along: float) -> bool:
        """Whether it is drawn at this place, where the other axis has the value `along`."""
        return abs(self.place - place) <= _NEAR and self.start - _NEAR < along < self.end + _NEAR


@dataclass(frozen=True, slots=True)
class _Grid:
    """`xs` ascend and `ys` descend: the edges of columns and rows."""

    across: Sequence[DrawnLine]
    down: Sequence[DrawnLine]
    xs: Sequence[float]
    ys: Sequence[float]


def ruled_tables(
    words: Sequence[PlacedText], boxes: Sequence[tuple[float, float, float, float]]
) -> tuple[list[PlacedText], list[PlacedText]]:
    """Tables, and the words that stand in none. `boxes` are of drawn lines and rectangles."""
    tables: list[PlacedText] = []
    rest = list(words)
    for grid in _grids(*_rules(boxes)):
        inside: list[PlacedText] = []
        outside: list[PlacedText] = []
        for word in rest:
            (inside if _is_inside(grid, word) else outside).append(word)
        rows = table_lines(_rows(grid, inside))
        if len(rows) > 1:
            rest = outside
            tables.append(
                PlacedText(grid.xs[0], grid.ys[-1], grid.xs[-1], grid.ys[0], rows=tuple(rows))
            )
    return tables, rest


def _rules(
    boxes: Sequence[tuple[float, float, float, float]],
) -> tuple[list[DrawnLine], list[DrawnLine]]:
    """Those across and those down; a rectangle is four."""
    across: list[DrawnLine] = []
    down: list[DrawnLine] = []
    for left, bottom, right, top in boxes[:_MOST_RULES]:
        is_flat, is_upright = top - bottom <= _THIN, right - left <= _THIN
        if not is_upright and right - left >= _SHORTEST:
            edges = {(bottom + top) / 2} if is_flat else {bottom, top}
            across += [DrawnLine(edge, left, right) for edge in edges]
        if not is_flat and top - bottom >= _SHORTEST:
            edges = {(left + right) / 2} if is_upright else {left, right}
            down += [DrawnLine(edge, bottom, top) for edge in edges]
    return across, down


def _grids(across: Sequence[DrawnLine], down: Sequence[DrawnLine]) -> Iterator[_Grid]:
    """Rules that cross, directly or by others, where they make two rows and two columns."""
    if len(across) * len(down) > _MOST_PAIRS:
        return
    group = list(range(len(across) + len(down)))

    def root(one: int) -> int:
        while group[one] != one:
            group[one] = group[group[one]]
            one = group[one]
        return one

    for number, rule in enumerate(across):
        for other, crossing in enumerate(down, len(across)):
            if crossing.is_at(crossing.place, rule.place) and rule.is_at(
                rule.place, crossing.place
            ):
                group[root(number)] = root(other)
    members: dict[int, tuple[list[DrawnLine], list[DrawnLine]]] = {}
    for number, rule in enumerate([*across, *down]):
        members.setdefault(root(number), ([], []))[number >= len(across)].append(rule)
    for rows, columns in members.values():
        xs, ys = _edges(columns), _edges(rows)[::-1]
        if len(xs) > 2 and len(ys) > 2 and len(xs) * len(ys) <= _MOST_CELLS:
            yield _Grid(rows, columns, xs, ys)


def _edges(rules: Sequence[DrawnLine]) -> list[float]:
    """Where rules lie, those that nearly meet as one; ascending."""
    edges: list[float] = []
    for place in sorted(rule.place for rule in rules):
        if not edges or place - edges[-1] > _NEAR:
            edges.append(place)
    return edges


def _is_inside(grid: _Grid, word: PlacedText) -> bool:
    x, y = (word.left + word.right) / 2, word.middle
    return grid.xs[0] < x < grid.xs[-1] and grid.ys[-1] < y < grid.ys[0]


def _rows(grid: _Grid, words: Sequence[PlacedText]) -> list[list[Cell]]:
    held: dict[tuple[int, int], list[PlacedText]] = {}
    for word in words:
        column = bisect_right(grid.xs, (word.left + word.right) / 2) - 1
        row = sum(edge >= word.middle for edge in grid.ys) - 1
        held.setdefault((row, column), []).append(word)
    taken: set[tuple[int, int]] = set()
    rows: list[list[Cell]] = []
    for row in range(len(grid.ys) - 1):
        cells: list[Cell] = []
        for column in range(len(grid.xs) - 1):
            if (row, column) not in taken:
                width, height = _span(grid, row, column)
                places = [
                    (row + down, column + right) for down in range(height) for right in range(width)
                ]
                taken.update(places)
                inside = [word for place in places for word in held.get(place, ())]
                cells.append(Cell(_text(inside), width, height))
        rows.append(cells)
    return rows


def _span(grid: _Grid, row: int, column: int) -> tuple[int, int]:
    """How many columns and rows the cell that begins here takes."""
    middles_x = [(left + right) / 2 for left, right in pairwise(grid.xs)]
    middles_y = [(above + below) / 2 for above, below in pairwise(grid.ys)]
    width = height = 1
    while column + width < len(middles_x) and not any(
        rule.is_at(grid.xs[column + width], middles_y[row]) for rule in grid.down
    ):
        width += 1
    while row + height < len(middles_y) and not any(
        rule.is_at(grid.ys[row + height], middles_x[column]) for rule in grid.across
    ):
        height += 1
    return width, height


def _text(words: Sequence[PlacedText]) -> str:
    return " ".join(one.text for line in lines_of(words) for one in joined(line))
