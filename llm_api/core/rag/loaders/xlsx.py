"""XLSX: each sheet a section, each row a paragraph that names its columns. The door of openpyxl.

Formulas count by the values that were saved with them. Does not cover: charts, comments, pictures,
cells that are merged (the first of them has the value).
"""

import datetime
import io
import warnings
from collections.abc import Iterator
from typing import Any, Final

import openpyxl  # type: ignore[import-untyped]  # it ships no types

from llm_api.core.errors import UnreadableFileError
from llm_api.core.rag.loaders.csv_table import add_table
from llm_api.core.rag.loaders.decode import clean
from llm_api.core.rag.loaders.loaded import LoadedText, TextBuilder

_VISIBLE: Final = "visible"


def load_xlsx(data: bytes, max_characters: int) -> LoadedText:
    with warnings.catch_warnings(action="ignore"):  # of styles and extensions that it does not know
        book = openpyxl.load_workbook(
            io.BytesIO(data), read_only=True, data_only=True, keep_links=False
        )
        try:
            return _load(book, max_characters)
        finally:
            book.close()


def _load(book: Any, max_characters: int) -> LoadedText:
    builder = TextBuilder(max_characters)
    hidden = [sheet.title for sheet in book.worksheets if sheet.sheet_state != _VISIBLE]
    count = 0
    for sheet in book.worksheets:
        if sheet.sheet_state == _VISIBLE:
            builder.begin_section((clean(sheet.title),))
            sheet.reset_dimensions()  # some files claim a million rows
            count += add_table(builder, _rows(sheet))
    if not builder.length and hidden:
        raise UnreadableFileError("all of its sheets are hidden")
    told = (f"Hidden sheets, not read: {len(hidden):,}.",) if hidden else ()
    return builder.build(metadata={"rows": count}, warnings=told)


def _rows(sheet: Any) -> Iterator[list[str]]:
    for row in sheet.iter_rows(values_only=True):
        yield [_words(value) for value in row]


def _words(value: object) -> str:
    """A cell as a person reads it: dates without a midnight, whole numbers without a point."""
    match value:
        case None:
            return ""
        case float() if value.is_integer() and abs(value) < 1e15:
            return str(int(value))
        case datetime.datetime() if value.time() == datetime.time():
            return value.date().isoformat()
        case datetime.datetime():
            return value.isoformat(sep=" ")
        case _:
            return clean(str(value))
