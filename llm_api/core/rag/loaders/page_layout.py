"""In which order the text of a page is read: columns, the tables in them, lines. Pure.

A page is cut where a strip stays free from top to bottom, and again within each part:

    ┌────────────────────┐
    │ a heading across   │    1. what stands across the strip divides the page into bands
    ├─────────┬──────────┤    2. of a band, the left column is read before the right one, if both
    │ left    ╎ right    │       are prose: their lines lie at heights of their own, or sentences
    │ column  ╎ column   │       go on from line to line in both
    ├─────────┴──────────┤    3. else it is rows: three or more lines that leave the same strips
    │ a note across      │       free are a table
    └────────────────────┘

Does not cover: columns of scripts without small letters whose lines lie at the same heights, tables
of two rows without rules.
"""

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, groupby, pairwise
from statistics import median
from typing import Final

from llm_api.core.rag.loaders.table_text import Cell, TableText

LONG_TABLE: Final = 500
"""Characters that may come into several chunks: its header is a heading for each of them."""

_LEAST_LINES: Final = 5
_LEAST_WIDTH: Final = 4  # of a column, in heights of its letters
_LEAST_FILL: Final = 0.6
_FILLED: Final = 0.7
_GOING_ON: Final = 0.3
_SAME_LINE: Final = 0.5
_SAME_HEIGHT: Final = 0.15
_ALIGNED: Final = 0.6
_MOST_CROSSING: Final = 0.7
_MOST_CUTS: Final = 8  # one within the other
_CANDIDATES: Final = 6
_LEAST_ROWS: Final = 3
_WRAPPED: Final = 0.85
_TABULAR: Final = 0.6
_LONGEST_RUN: Final = 500
_FARTHEST: Final = 3  # in heights, from one row to the next
_NARROWEST: Final = 2  # points between two columns of a table
_WIDEST: Final = 20_000
_SENTENCE_END: Final = re.compile(r"[.!?:;]\W*$")
_BULLET: Final = re.compile(r"[^\w\s]{1,2}|\(?(?:\d{1,3}|[a-zA-Z]|[ivxIVX]{1,5})[.)]")
_NUMBER: Final = re.compile(r"[\d.]{1,8}")


@dataclass(frozen=True, slots=True)
class Line:
    """A line of text; `header` names the columns of the long table that it is a row of."""

    text: str
    header: str = ""


@dataclass(frozen=True, slots=True)
class PlacedText:
    """Words of a line that follow closely, and where they stand; `y` grows upwards.

    A table that was found already is one, with its `rows`.
    """

    left: float
    bottom: float
    right: float
    top: float
    text: str = ""
    rows: tuple[Line, ...] = ()

    @property
    def height(self) -> float:
        return self.top - self.bottom

    @property
    def middle(self) -> float:
        return self.top if self.rows else (self.top + self.bottom) / 2


@dataclass(frozen=True, slots=True)
class _Cut:
    """A free strip, and of each band that it divides what stands left and right of it."""

    bands: Sequence[tuple[Sequence[PlacedText], Sequence[PlacedText]]]
    across: Sequence[Sequence[PlacedText]]
    """What stands above each band, and below the last."""

    @property
    def lines(self) -> int:
        """Lines on the emptier side."""
        return sum(min(len(lines_of(left)), len(lines_of(right))) for left, right in self.bands)

    @property
    def width(self) -> float:
        """Of the strip where it is narrowest."""
        return min((_between(left, right) for left, right in self.bands if right), default=0)


def may_have_parts(segments: Sequence[PlacedText]) -> bool:
    """Whether it is worth to lay out a page of these; their words do not matter."""
    lines = lines_of(segments)
    several = sum(len(joined(line)) > 1 for line in lines)
    return several >= _LEAST_ROWS or _best_cut(segments) is not None


def laid_out(words: Sequence[PlacedText], tables: Sequence[PlacedText] = ()) -> list[Line] | None:
    """The page in the order it is read in; None where it has neither columns nor tables."""
    segments = [one for line in lines_of(words) for one in joined(line)]
    found = list(_read([*segments, *tables], _MOST_CUTS))
    has_parts = bool(tables) or any(one is None for one in found)
    return [one for one in found if one is not None] if has_parts else None


def lines_of(segments: Sequence[PlacedText]) -> list[list[PlacedText]]:
    """From top to bottom, those beside each other together."""
    lines: list[list[PlacedText]] = []
    for one in sorted(segments, key=lambda segment: -segment.middle):
        first = lines[-1][0] if lines else None
        apart = first is None or bool(first.rows or one.rows)
        if first and not apart:
            apart = first.middle - one.middle > _SAME_LINE * min(first.height, one.height)
        if apart:
            lines.append([one])
        else:
            lines[-1].append(one)
    return lines


def joined(line: Sequence[PlacedText]) -> list[PlacedText]:
    """The segments of a line from left to right, those that follow closely as one."""
    done: list[PlacedText] = []
    for one in sorted(line, key=lambda segment: segment.left):
        before = done[-1] if done else None
        if before and one.left - before.right < 0.7 * min(one.height, before.height):
            gap = "" if one.left - before.right < 0.1 * one.height else " "
            done[-1] = PlacedText(
                before.left,
                min(before.bottom, one.bottom),
                max(before.right, one.right),
                max(before.top, one.top),
                f"{before.text}{gap}{one.text}",
            )
        else:
            done.append(one)
    return done


def _read(segments: Sequence[PlacedText], cuts: int) -> Iterator[Line | None]:
    """Lines; and None where a reader of lines alone would have read otherwise."""
    cut = _best_cut(segments) if cuts else None
    if cut is None:
        yield from _rows(segments)
        return
    rows: list[PlacedText] = []  # what is read line by line, until the next columns
    for above, band in zip(cut.across, cut.bands, strict=False):
        rows += above
        if not _are_columns(*band):
            rows += [*band[0], *band[1]]
            continue
        yield from _rows(rows)
        rows = []
        yield None
        for column in band:
            yield from _read(column, cuts - 1)
    yield from _rows([*rows, *cut.across[-1]])


# Columns


def _best_cut(segments: Sequence[PlacedText]) -> _Cut | None:
    """The strip with the most lines on its emptier side; then what the fewest cross, the widest."""
    heights = [one.height for one in segments if not one.rows]
    if len(heights) < 2 * _LEAST_LINES:
        return None
    cuts = [_cut_at(x, segments, median(heights)) for x in _free_places(segments)]
    best = max(cuts, key=_merit, default=None)
    return best if best is not None and best.lines >= _LEAST_LINES else None


def _merit(cut: _Cut) -> tuple[int, int, float]:
    return cut.lines, -sum(map(len, cut.across)), cut.width


def _free_places(segments: Sequence[PlacedText]) -> list[float]:
    """Where fewer segments stand than on either side, the emptiest first."""
    begin = min(one.left for one in segments)
    width = int(min(max(one.right for one in segments) - begin, _WIDEST)) + 2
    steps = [0] * (width + 1)
    for one in segments:
        steps[_within(one.left - begin, width)] += 1
        steps[_within(one.right - begin, width - 1) + 1] -= 1
    counts = list(accumulate(steps))[:width]
    most_left = list(accumulate(counts, max))
    most_right = list(accumulate(reversed(counts), max))[::-1]
    found: list[tuple[int, float]] = []
    start = 0
    for count, places in groupby(range(width), key=lambda place: counts[place]):
        size = len(list(places))
        beside = min(most_left[start], most_right[start])
        if beside >= _LEAST_LINES and count <= _MOST_CROSSING * beside:
            found.append((count, begin + start + size / 2))
        start += size
    return [place for _, place in sorted(found)[:_CANDIDATES]]


def _within(place: float, most: int) -> int:
    return max(0, min(int(place), most))


def _cut_at(x: float, segments: Sequence[PlacedText], height: float) -> _Cut:
    bands: list[tuple[list[PlacedText], list[PlacedText]]] = []
    across: list[list[PlacedText]] = [[]]
    is_in_band = False
    for line in lines_of(segments):
        if any(one.left < x < one.right for one in line):
            across[-1] += line
            is_in_band = False
            continue
        if not is_in_band:
            bands.append(([], []))
            across.append([])
            is_in_band = True
        for one in line:
            bands[-1][one.left >= x].append(one)
    return _Cut([_kept(band, height) for band in bands], across)


def _between(left: Sequence[PlacedText], right: Sequence[PlacedText]) -> float:
    return min(one.left for one in right) - max(one.right for one in left)


def _kept(
    band: tuple[list[PlacedText], list[PlacedText]], height: float
) -> tuple[list[PlacedText], list[PlacedText]]:
    """The band; all of it on the left where it is too narrow for columns."""
    left, right = band
    if not left or not right:
        return [*left, *right], []
    widths = (max(one.right for one in side) - min(one.left for one in side) for side in band)
    is_wide = _between(left, right) >= height / 2 and min(widths) >= _LEAST_WIDTH * height
    return band if is_wide else ([*left, *right], [])


def _are_columns(left: Sequence[PlacedText], right: Sequence[PlacedText]) -> bool:
    """Whether each side is read by itself, and the lines are no rows across both."""
    fewer, more = sorted((lines_of(left), lines_of(right)), key=len)
    if not fewer:
        return False
    heights = sorted(line[0].middle for line in more)
    near = _SAME_HEIGHT * median(line[0].height for line in more)
    aligned = sum(
        bisect_left(heights, line[0].middle - near) < bisect_right(heights, line[0].middle + near)
        for line in fewer
    )
    if len(fewer) >= _LEAST_ROWS and aligned < _ALIGNED * len(fewer):
        return True
    return _is_prose(left, _MOST_CUTS) and _is_prose(right, _MOST_CUTS)


def _is_prose(side: Sequence[PlacedText], cuts: int) -> bool:
    """Whether lines are filled to their end, and sentences go on from line to line."""
    lines = lines_of(side)
    if sum(len(line) > 1 for line in lines) * 2 > len(lines):
        cut = _best_cut(side) if cuts else None
        return cut is not None and all(
            _is_prose(part, cuts - 1) for band in cut.bands for part in band if part
        )
    width = max(one.right for one in side) - min(one.left for one in side)
    filled = sum(line[-1].right - line[0].left > _LEAST_FILL * width for line in lines)
    texts = [" ".join(one.text for one in line) for line in lines]
    return filled >= _FILLED * len(lines) and _goes_on([text for text in texts if text])


def _goes_on(lines: Sequence[str]) -> bool:
    """Whether sentences of these lines go on in the next ones."""
    going = sum(
        below[0].islower() and not _SENTENCE_END.search(above) for above, below in pairwise(lines)
    )
    return going >= _GOING_ON * (len(lines) - 1) > 0


# Rows


def _rows(segments: Sequence[PlacedText]) -> Iterator[Line | None]:
    """Lines from top to bottom, and the tables among them."""
    lines = [joined(line) for line in lines_of(segments)]
    text: list[str] = []
    start = 0
    while start < len(lines):
        end = _end_of_run(lines, start)
        table = _table(lines[start:end]) if end - start >= _LEAST_ROWS else ()
        if table or lines[start][0].rows:
            yield from map(Line, _whole_words(text))
            text = []
            yield None
            yield from table or lines[start][0].rows
            start = end if table else start + 1
        else:
            text.append(" ".join(one.text for one in lines[start]))
            start += 1
    yield from map(Line, _whole_words(text))


def _end_of_run(lines: Sequence[Sequence[PlacedText]], start: int) -> int:
    """Behind the lines that follow each other as rows; a line of one segment may be among them."""
    are_rows = [_is_row(line) for line in lines[start : start + _LONGEST_RUN]]
    end = 0
    while end < len(are_rows):
        is_among = 0 < end < len(are_rows) - 1 and are_rows[end - 1] and are_rows[end + 1]
        if lines[start + end][0].rows or not (are_rows[end] or is_among):
            break
        above = lines[start + end - 1][0] if end else None
        if above and above.middle - lines[start + end][0].middle > _FARTHEST * above.height:
            break
        end += 1
    return start + end


def _is_row(line: Sequence[PlacedText]) -> bool:
    """Whether a line has several parts, and is no item of a list."""
    return len(line) > 2 or (len(line) == 2 and not _BULLET.fullmatch(line[0].text))


def _table(lines: Sequence[Sequence[PlacedText]]) -> Sequence[Line]:
    """The lines as rows of a table; none where they leave no strip free, or are a list."""
    strips = _strips([line for line in lines if len(line) > 1])
    rows = _unwrapped(lines, [_cells(line, strips) for line in lines])
    filled = sum(sum(bool(cell.words) for cell in row) > 1 for row in rows)
    numbers = sum(not row[0].words or bool(_NUMBER.fullmatch(row[0].words)) for row in rows)
    is_list = len(strips) == 1 and numbers * 2 > len(rows)
    if not strips or filled < _TABULAR * len(rows) or is_list:
        return ()
    return table_lines(rows)


def table_lines(rows: Sequence[Sequence[Cell]]) -> list[Line]:
    table = TableText()
    texts = [table.line(row, is_header=False) for row in rows]
    header = table.header() if sum(map(len, texts)) >= LONG_TABLE else ""
    return [Line(text, header) for text in texts if text.strip()]


def _strips(lines: Sequence[Sequence[PlacedText]]) -> list[float]:
    """The middles of the strips that nearly all of the lines leave free."""
    edges = sorted(
        (place, step)
        for line in lines
        for one in line
        for place, step in ((one.left, 1), (one.right, -1))
    )
    strips: list[float] = []
    count, may_cross, begin = 0, len(lines) // 10, None
    for place, step in edges:
        was_free = count <= may_cross
        count += step
        if was_free and count > may_cross:
            if begin is not None and place - begin >= _NARROWEST:
                strips.append((begin + place) / 2)
        elif not was_free and count <= may_cross:
            begin = place
    return strips


def _cells(line: Sequence[PlacedText], strips: Sequence[float]) -> list[Cell]:
    """A cell for each column; one that reaches across several stands for these."""
    cells: list[Cell] = []
    column = 0
    for one in line:
        first, last = bisect_right(strips, one.left), bisect_left(strips, one.right)
        if cells and first < column:  # two in one column
            cells[-1] = replace(cells[-1], words=f"{cells[-1].words} {one.text}")
            continue
        cells += [Cell("")] * (first - column)
        cells.append(Cell(one.text, columns=last - first + 1))
        column = last + 1
    return cells + [Cell("")] * (len(strips) + 1 - column)


def _unwrapped(
    lines: Sequence[Sequence[PlacedText]], rows: Sequence[Sequence[Cell]]
) -> list[Sequence[Cell]]:
    """Rows with the lines that go on below them: these lie closer, with nothing in front."""
    gaps = [above[0].middle - below[0].middle for above, below in pairwise(lines)]
    whole: list[Sequence[Cell]] = list(rows[:1])
    for gap, row in zip(gaps, rows[1:], strict=True):
        above = whole[-1]
        fits = len(row) > 2 and [one.columns for one in above] == [one.columns for one in row]
        if fits and not row[0].words and gap < _WRAPPED * max(gaps):
            whole[-1] = [
                replace(one, words=f"{one.words} {more.words}".strip())
                for one, more in zip(above, row, strict=True)
            ]
        else:
            whole.append(row)
    return whole


def _whole_words(lines: Sequence[str]) -> list[str]:
    """Lines without the hyphens that divide words between them."""
    whole: list[str] = []
    for line in lines:
        if whole and whole[-1].endswith("-") and line[:1].islower():
            whole[-1] = whole[-1][:-1] + line
        else:
            whole.append(line)
    return whole
