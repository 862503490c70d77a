"""CSV: each row as a paragraph that names its columns, so that a row alone can be understood."""

import csv
import io
import sys
from collections.abc import Sequence
from typing import Final

from llm_api.core.errors import UnreadableFileError
from llm_api.core.rag.loaders.loaded import LoadedText
from llm_api.core.rag.loaders.text_builder import TextBuilder

_DELIMITERS: Final = ",;\t|"


def load_csv(text: str, max_characters: int) -> LoadedText:
    """The first row names the columns, unless a cell of it is empty, a number or there twice."""
    csv.field_size_limit(sys.maxsize)  # the whole text has a limit
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=_delimiter(text))
    builder = TextBuilder(max_characters)
    names: Sequence[str] | None = None
    count = 0
    try:
        for row in filter(any, rows):
            if names is None:
                names = row if _is_header(row) else ()
                if names:
                    continue
            builder.add(_paragraph(names, row))
            count += 1
    except csv.Error as error:
        raise UnreadableFileError(f"line {rows.line_num} is no CSV") from error
    if not count and names:  # nothing but a header is still something to find
        builder.add(_paragraph((), names))
    return builder.build(metadata={"rows": count})


def _delimiter(text: str) -> str:
    first = next((line for line in text.split("\n", 50) if line.strip()), "")
    return max(_DELIMITERS, key=first.count)


def _is_header(row: Sequence[str]) -> bool:
    names = [name.strip() for name in row]
    return all(names) and len(set(names)) == len(names) and not any(map(_is_number, names))


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _paragraph(names: Sequence[str], row: Sequence[str]) -> str:
    cells = [
        f"{names[index].strip() if index < len(names) else f'column {index + 1}'}: {cell.strip()}"
        for index, cell in enumerate(row)
        if cell.strip()
    ]
    return "\n".join(cells) + "\n\n"
