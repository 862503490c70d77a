"""CSV: each row as a paragraph that names its columns, so that a row alone can be understood.

Lines above the table (titles, comments, notes) come first, as they are. Then the header, then the
rows. Covers: headers with empty, repeated and numeric names. Does not cover: several tables in one
file, names that stand above the first column but one.
"""

import csv
import io
import re
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice, pairwise
from typing import Final

from llm_api.core.errors import UnreadableFileError
from llm_api.core.rag.loaders.loaded import LoadedText, TextBuilder

MAX_COLUMNS: Final = 2_000
"""Each row names them all: more are no table whose rows are read as text."""

_DELIMITERS: Final = ",;\t|"
_LINES_JUDGED: Final = 50
_CHARACTERS_JUDGED: Final = 100_000
_NAMED_DELIMITER: Final = re.compile(r"sep=([,;\t|])\n", re.IGNORECASE)
_COMMENT: Final = "#"


def load_csv(text: str, max_characters: int) -> LoadedText:
    csv.field_size_limit(sys.maxsize)  # the whole text has a limit
    named = _NAMED_DELIMITER.match(text)
    source = io.StringIO(text, newline="")
    source.seek(named.end() if named else 0)
    reader = csv.reader(source, delimiter=named[1] if named else _delimiter(text))
    builder = TextBuilder(max_characters)
    try:
        count = add_table(builder, reader)
    except csv.Error as error:
        raise UnreadableFileError(f"line {reader.line_num} is no CSV") from error
    return builder.build(metadata={"rows": count})


def add_table(builder: TextBuilder, rows: Iterable[list[str]]) -> int:
    """Add a table with what stands above it; how many rows it has below its header.

    Raises `UnreadableFileError` for more columns than are read, or too much text.
    """
    rows = filter(any, map(_checked, rows))
    first = list(islice(rows, _LINES_JUDGED))
    above, header = _beginning(first)
    if above:
        builder.add("".join(f"{_line(row)}\n" for row in first[:above]) + "\n")
    names = _names(first[above]) if header else ()
    count = 0
    for row in chain(first[above + header :], rows):
        builder.add(_paragraph(names, row))
        count += 1
    if not count and names:  # nothing but a header is still something to find
        builder.add(_paragraph((), first[above]))
    return count


def _delimiter(text: str) -> str:
    """The one that stands as often in the most lines."""
    head = text[:_CHARACTERS_JUDGED]
    lines = [line for line in head.split("\n", _LINES_JUDGED)[:_LINES_JUDGED] if line.strip()]

    def agreement(delimiter: str) -> tuple[int, int]:
        counts = Counter(filter(None, (line.count(delimiter) for line in lines)))
        return max(((seen, count) for count, seen in counts.items()), default=(0, 0))

    return max(_DELIMITERS, key=agreement)


def _checked(row: list[str]) -> list[str]:
    if len(row) > MAX_COLUMNS:
        raise UnreadableFileError(
            f"it has {len(row):,} columns; at most {MAX_COLUMNS:,} are read: split it, or turn it"
        )
    return [cell.strip() for cell in row]


def _beginning(rows: Sequence[Sequence[str]]) -> tuple[int, bool]:
    """How many rows stand above the table, and whether the one below them names its columns."""
    if not rows:
        return 0, False
    width = Counter(map(len, rows)).most_common(1)[0][0]
    above = 0
    while above < len(rows) - 1 and _is_above(rows[above], rows[above + 1], width):
        above += 1
    return above, _is_header(rows[above], rows[above + 1 :])


def _is_above(row: Sequence[str], below: Sequence[str], width: int) -> bool:
    """Whether a row is a title, a note or a comment above the table, and not its header."""
    filled = sum(map(bool, row))
    if row[0].startswith(_COMMENT):
        return len(row) != width or width == 1 or not any(map(_is_number, below))
    if len(row) * 2 <= width or (width > 2 and filled == 1):
        return True
    is_sparse = width > 2 and filled * 2 <= width and filled < sum(map(bool, below))
    return is_sparse and not any(map(_is_number, below))


def _is_header(row: Sequence[str], below: Sequence[Sequence[str]]) -> bool:
    """Names are words; numbers may be among them where the column below holds no such numbers."""
    numbers = [place for place, cell in enumerate(row) if _is_number(cell)]
    if not numbers:
        return True
    is_all_numbers = len(numbers) == sum(map(bool, row))
    if _is_series([row[place] for place in numbers]):
        return not is_all_numbers or not row[0]
    if is_all_numbers:
        return False
    return all(_is_year(row[place]) and not _are_years(below, place) for place in numbers)


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _is_series(cells: Sequence[str]) -> bool:
    """Whether they count on, as the years of a report do, or the columns of a matrix."""
    whole = [int(cell) for cell in cells if cell.isdecimal() and len(cell) < 10]
    steps = {right - left for left, right in pairwise(whole)}
    return len(whole) == len(cells) > 1 and len(steps) == 1 and steps != {0}


def _is_year(cell: str) -> bool:
    return cell.isdecimal() and len(cell) == 4


def _are_years(rows: Sequence[Sequence[str]], place: int) -> bool:
    return any(_is_year(row[place]) for row in rows if place < len(row))


def _names(row: Sequence[str]) -> list[str]:
    """A name for each column: its own, numbered where it is empty or was there before."""
    names: list[str] = []
    seen: Counter[str] = Counter()
    for number, cell in enumerate(row, 1):
        name = cell.removeprefix(_COMMENT).strip() if number == 1 else cell
        seen[name] += 1
        if not name:
            names.append(_numbered(number))
        else:
            names.append(name if seen[name] == 1 else f"{name} ({seen[name]})")
    return names


def _numbered(number: int) -> str:
    return f"column {number}"


def _line(row: Sequence[str]) -> str:
    return " ".join(filter(None, row))


def _paragraph(names: Sequence[str], row: Sequence[str]) -> str:
    return "\n".join(_cells(names, row)) + "\n\n"


def _cells(names: Sequence[str], row: Sequence[str]) -> Iterator[str]:
    for place, cell in enumerate(row):
        if cell:
            yield f"{names[place] if place < len(names) else _numbered(place + 1)}: {cell}"
