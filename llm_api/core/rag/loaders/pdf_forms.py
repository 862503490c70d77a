"""What is filled into the forms of a PDF page and noted on it. A door of pypdfium2."""

import ctypes
from collections.abc import Callable, Iterator
from typing import Final

import pypdfium2  # type: ignore[import-untyped]  # it ships no types
from pypdfium2 import raw

from llm_api.core.rag.loaders.decode import clean

_PASSWORD: Final = 1 << 13
_LISTED: Final = (raw.FPDF_FORMFIELD_CHECKBOX, raw.FPDF_FORMFIELD_RADIOBUTTON)
_WITHOUT_WORDS: Final = (raw.FPDF_FORMFIELD_PUSHBUTTON, raw.FPDF_FORMFIELD_SIGNATURE)
_MOST_NOTES: Final = 10_000
_COMMENTS: Final = (raw.FPDF_ANNOT_TEXT, raw.FPDF_ANNOT_HIGHLIGHT, raw.FPDF_ANNOT_UNDERLINE)


def noted_words(pdf: pypdfium2.PdfDocument, page: pypdfium2.PdfPage) -> tuple[list[str], int]:
    """Lines of values and notes that stand on the page; and how many comments do not."""
    lines: list[str] = []
    comments = 0
    for index in range(min(raw.FPDFPage_GetAnnotCount(page), _MOST_NOTES)):
        note = raw.FPDFPage_GetAnnot(page, index)
        kind = raw.FPDFAnnot_GetSubtype(note)
        if kind == raw.FPDF_ANNOT_FREETEXT:
            lines.append(_contents(note))
        elif kind == raw.FPDF_ANNOT_WIDGET and pdf.formenv is not None:
            lines += _field(pdf.formenv, note)
        elif kind in _COMMENTS and _contents(note):
            comments += 1
        raw.FPDFPage_CloseAnnot(note)
    return [line for line in lines if line], comments


def _field(form: pypdfium2.PdfFormEnv, note: raw.FPDF_ANNOTATION) -> Iterator[str]:
    """The field as `name: value`, where there is a value that is shown."""
    kind = raw.FPDFAnnot_GetFormFieldType(form, note)
    is_off = kind in _LISTED and not raw.FPDFAnnot_IsChecked(form, note)
    is_secret = raw.FPDFAnnot_GetFormFieldFlags(form, note) & _PASSWORD
    if kind in _WITHOUT_WORDS or is_off or (kind == raw.FPDF_FORMFIELD_TEXTFIELD and is_secret):
        return
    value = _words(lambda *room: raw.FPDFAnnot_GetFormFieldValue(form, note, *room))
    label = _words(lambda *room: raw.FPDFAnnot_GetFormFieldAlternateName(form, note, *room))
    path = _words(lambda *room: raw.FPDFAnnot_GetFormFieldName(form, note, *room))
    name = label or path.rpartition(".")[2]
    if value:
        yield f"{name}: {value}" if name else value


def _contents(note: raw.FPDF_ANNOTATION) -> str:
    return _words(lambda *room: raw.FPDFAnnot_GetStringValue(note, b"Contents", *room))


def _words(read: Callable[..., int]) -> str:
    """What a function of PDFium writes into a buffer, after it has said how large that must be."""
    size = read(None, 0)
    buffer = ctypes.create_string_buffer(size)
    read(ctypes.cast(buffer, ctypes.POINTER(ctypes.c_ushort)), size)
    return clean(buffer.raw[:size].decode("utf-16-le", errors="replace")).strip()
