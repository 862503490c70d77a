"""The lines of one PDF page in the order they are read in. A door of pypdfium2.

PDFium reads lines that run down the page last line first: the page is turned for these. It knows
neither columns nor tables: where lines leave strips free, or lines are drawn as of a table,
`page_layout` and `ruled_tables` put its characters in order.
"""

import ctypes
import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

import pypdfium2  # type: ignore[import-untyped]  # it ships no types
from pypdfium2 import raw

from llm_api.core.rag.loaders.decode import clean
from llm_api.core.rag.loaders.page_layout import Line, PlacedText, laid_out, may_have_parts
from llm_api.core.rag.loaders.ruled_tables import ruled_tables

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_SAMPLES: Final = 16
_MOST_BOXES: Final = 2_000
_MOST_OBJECTS: Final = 10_000
_MOST_CHARACTERS: Final = 20_000  # of a page that is laid out
_MOST_DRAWN: Final = 1_000
_LEAST_DRAWN: Final = 4  # two cells are seven lines, or two rectangles and a frame
_DOTS, _MOST_DOTS = 200, 3_500
_WORD_GAP: Final = 0.25  # in heights of a letter
_DOWN: Final = 1
_HYPHENS: Final = (0x02, 0xFFFE)  # what PDFium makes of a hyphen at the end of a line

_Box = tuple[float, float, float, float]


def page_lines(page: pypdfium2.PdfPage, *, lays_out: bool) -> list[Line]:
    """The lines, clean. A word that a hyphen divides at the end of a line is whole again.

    `lays_out`: whether columns and tables are looked for.
    """
    page.set_rotation(0)
    text_page = page.get_textpage()
    turn = _turn(text_page)
    if turn == _DOWN:
        text_page.close()
        page.set_rotation(270)
        text_page = page.get_textpage()
    try:
        lines = _laid_out(page, text_page) if lays_out and turn == 0 else None
        if lines is None:
            text = clean(str(text_page.get_text_range())).strip()
            return [Line(line) for line in text.split("\n")] if text else []
        return [Line(clean(line.text).strip(), clean(line.header)) for line in lines]
    finally:
        text_page.close()


def has_pictures(page: pypdfium2.PdfPage) -> bool:
    count = min(raw.FPDFPage_CountObjects(page), _MOST_OBJECTS)
    objects = (raw.FPDFPage_GetObject(page, index) for index in range(count))
    return raw.FPDF_PAGEOBJ_IMAGE in map(raw.FPDFPageObj_GetType, objects)


def is_blank(page: pypdfium2.PdfPage) -> bool:
    return bool(raw.FPDFPage_CountObjects(page) == 0)


def picture(page: pypdfium2.PdfPage) -> "NDArray[np.uint8]":
    """As it is seen, of about 200 dots to the inch; each pixel blue, green and red."""
    width, height = page.get_size()
    scale = min(_DOTS / 72, _MOST_DOTS / max(width, height, 1))
    seen: NDArray[np.uint8] = page.render(scale=scale, rev_byteorder=False).to_numpy()
    return seen[:, :, :3]


def _turn(text_page: pypdfium2.PdfTextPage) -> int:
    """By how many right angles most of the text is turned clockwise; -1 where by none."""
    count = text_page.count_chars()
    places = range(0, count, max(1, count // _SAMPLES))
    turns = [raw.FPDFText_GetCharAngle(text_page, place) / (math.pi / 2) for place in places]
    for turn in range(4):
        if sum(abs(one - turn) < 0.1 for one in turns) * 2 > len(turns):
            return turn
    return -1 if turns else 0


def _laid_out(page: pypdfium2.PdfPage, text_page: pypdfium2.PdfTextPage) -> list[Line] | None:
    """The lines of a page with columns or tables; None for any other."""
    if text_page.count_rects() > _MOST_BOXES or text_page.count_chars() > _MOST_CHARACTERS:
        return None  # no page of prose
    drawn = _drawn(page)
    boxes = [PlacedText(*text_page.get_rect(index)) for index in range(text_page.count_rects())]
    if len(drawn) < _LEAST_DRAWN and not may_have_parts(boxes):
        return None
    tables, words = ruled_tables(list(_words(text_page)), drawn)
    return laid_out(words, tables)


def _drawn(page: pypdfium2.PdfPage) -> list[_Box]:
    """Left, bottom, right and top of each line and area that is drawn."""
    sides = [ctypes.c_float() for _ in range(4)]
    boxes: list[_Box] = []
    for index in range(min(raw.FPDFPage_CountObjects(page), _MOST_OBJECTS)):
        one = raw.FPDFPage_GetObject(page, index)
        if raw.FPDFPageObj_GetType(one) == raw.FPDF_PAGEOBJ_PATH:
            raw.FPDFPageObj_GetBounds(one, *sides)
            left, bottom, right, top = (side.value for side in sides)
            boxes.append((left, bottom, right, top))
            if len(boxes) > _MOST_DRAWN:
                return []  # a picture
    return boxes


def _words(text_page: pypdfium2.PdfTextPage) -> Iterator[PlacedText]:
    """Characters that follow each other without white space."""
    box = raw.FS_RECTF()
    letters: list[str] = []
    left = bottom = right = top = 0.0
    for index in range(text_page.count_chars()):
        code = raw.FPDFText_GetUnicode(text_page, index)
        letter = "-" if code in _HYPHENS else chr(code)
        is_space = letter.isspace()
        if not is_space:
            raw.FPDFText_GetLooseCharBox(text_page, index, box)
        if letters and (is_space or _is_apart(box, bottom, right, top)):
            yield PlacedText(left, bottom, right, top, "".join(letters))
            letters = []
        if is_space:
            continue
        if not letters:
            left, bottom, top = box.left, box.bottom, box.top
        letters.append(letter)
        right = box.right
    if letters:
        yield PlacedText(left, bottom, right, top, "".join(letters))


def _is_apart(box: raw.FS_RECTF, bottom: float, right: float, top: float) -> bool:
    """Whether a character does not go on a word that ends there."""
    height = top - bottom
    is_beside = abs(box.left - right) <= _WORD_GAP * height
    return not is_beside or abs((box.bottom + box.top) - (bottom + top)) > height
