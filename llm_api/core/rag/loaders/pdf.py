"""PDF: the text of its pages, under the headings of its outline. The one door of pypdfium2."""

import re
from collections import defaultdict
from collections.abc import Mapping
from typing import Final

import pypdfium2  # type: ignore[import-untyped]  # it ships no types
from pypdfium2 import raw

from llm_api.core.errors import UnreadableFileError
from llm_api.core.rag.loaders.decode import clean
from llm_api.core.rag.loaders.loaded import Limits, LoadedText
from llm_api.core.rag.loaders.text_builder import HeadingPath, TextBuilder

_ENCRYPTED: Final = (raw.FPDF_ERR_PASSWORD, raw.FPDF_ERR_SECURITY)


def load_pdf(data: bytes, limits: Limits) -> LoadedText:
    pdf = _open(data)
    if len(pdf) > limits.pages:
        raise UnreadableFileError(f"it has {len(pdf):,} pages; at most {limits.pages:,} are read")
    outline, path = _outline(pdf), HeadingPath()
    headings: tuple[str, ...] = ()
    builder = TextBuilder(limits.characters)
    for index in range(len(pdf)):
        text = _page_text(pdf, index)
        start = builder.length
        builder.begin_section(headings, index + 1)
        for level, title in outline.get(index, ()):
            headings = path.enter(level, title)
            place = re.search(r"\s+".join(map(re.escape, title.split(" "))), text)
            if place:
                builder.begin_section(headings, index + 1, start=start + place.start())
        builder.add(text + "\n\n" if text else "")
    return builder.build(clean(pdf.get_metadata_value("Title")).strip(), {"pages": len(pdf)})


def _open(data: bytes) -> pypdfium2.PdfDocument:
    try:
        return pypdfium2.PdfDocument(data)
    except pypdfium2.PdfiumError as error:
        if error.err_code in _ENCRYPTED:
            raise UnreadableFileError("it is encrypted: save it without a password") from error
        raise UnreadableFileError("it is damaged, or no PDF") from error


def _page_text(pdf: pypdfium2.PdfDocument, index: int) -> str:
    page = pdf[index]
    try:
        # PDFium gives a hyphen at the end of a line as a control character: words are whole again.
        return clean(page.get_textpage().get_text_bounded()).strip()
    finally:
        page.close()


def _outline(pdf: pypdfium2.PdfDocument) -> Mapping[int, list[tuple[int, str]]]:
    """Level and title of the bookmarks, by the page that they lead to."""
    found = defaultdict(list)
    for bookmark in pdf.get_toc():
        target, title = bookmark.get_dest(), " ".join(clean(bookmark.get_title()).split())
        index = target.get_index() if target else None
        if index is not None and title:
            found[index].append((bookmark.level, title))
    return found
