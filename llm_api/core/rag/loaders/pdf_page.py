"""The text of one PDF page in the order it is read in. A door of pypdfium2.

PDFium reads lines that run down the page last line first, and two columns that were drawn line by
line as one: the page is turned for the former, and `columns` takes the latter apart.
"""

import ctypes
import math
from collections.abc import Iterator
from typing import Final

import pypdfium2  # type: ignore[import-untyped]  # it ships no types
from pypdfium2 import raw

from llm_api.core.rag.loaders.columns import Box, Glyph, gutter, read_in_columns
from llm_api.core.rag.loaders.decode import clean

_SAMPLES: Final = 16
_MOST_BOXES: Final = 2_000
_MOST_OBJECTS: Final = 10_000
_HYPHENS: Final = (0x02, 0xFFFE)  # what PDFium makes of a hyphen at the end of a line


def page_text(page: pypdfium2.PdfPage) -> str:
    """The words, clean. A word that a hyphen divides at the end of a line is whole again."""
    page.set_rotation(0)
    text_page = page.get_textpage()
    if _runs_down(text_page):
        text_page.close()
        page.set_rotation(270)
        text_page = page.get_textpage()
    try:
        return clean(_text(text_page)).strip()
    finally:
        text_page.close()


def has_pictures(page: pypdfium2.PdfPage) -> bool:
    count = min(raw.FPDFPage_CountObjects(page), _MOST_OBJECTS)
    objects = (raw.FPDFPage_GetObject(page, index) for index in range(count))
    return raw.FPDF_PAGEOBJ_IMAGE in map(raw.FPDFPageObj_GetType, objects)


def is_blank(page: pypdfium2.PdfPage) -> bool:
    return bool(raw.FPDFPage_CountObjects(page) == 0)


def _runs_down(text_page: pypdfium2.PdfTextPage) -> bool:
    """Whether most of the text is turned clockwise by a right angle."""
    count = text_page.count_chars()
    places = range(0, count, max(1, count // _SAMPLES))
    turned = [
        abs(raw.FPDFText_GetCharAngle(text_page, place) - math.pi / 2) < 0.1 for place in places
    ]
    return turned.count(True) * 2 > len(turned)


def _text(text_page: pypdfium2.PdfTextPage) -> str:
    boxes = list(_boxes(text_page))
    between = gutter(boxes)
    if between is None:
        return str(text_page.get_text_range())
    return read_in_columns(list(_glyphs(text_page)), between)


def _boxes(text_page: pypdfium2.PdfTextPage) -> Iterator[Box]:
    count = text_page.count_rects()
    if count <= _MOST_BOXES:  # more are no page of prose
        for index in range(count):
            left, bottom, right, top = text_page.get_rect(index)
            yield Box(left, bottom, right, top)


def _glyphs(text_page: pypdfium2.PdfTextPage) -> Iterator[Glyph]:
    x, y = ctypes.c_double(), ctypes.c_double()
    for index in range(text_page.count_chars()):
        code = raw.FPDFText_GetUnicode(text_page, index)
        raw.FPDFText_GetCharOrigin(text_page, index, x, y)
        yield Glyph("-\n" if code in _HYPHENS else chr(code), x.value)
