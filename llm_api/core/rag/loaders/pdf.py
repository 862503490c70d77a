"""PDF: the text of its pages, under the headings of its outline. A door of pypdfium2.

Covers: values of filled forms, notes written on the page. Does not cover: pictures, scans, comments
and attached files, which are named in the warnings.
"""

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import pypdfium2  # type: ignore[import-untyped]  # it ships no types
from pypdfium2 import raw

from llm_api.core.errors import UnreadableFileError
from llm_api.core.rag.loaders.decode import clean
from llm_api.core.rag.loaders.loaded import FileLimits, HeadingPath, LoadedText, TextBuilder
from llm_api.core.rag.loaders.pdf_forms import noted_words
from llm_api.core.rag.loaders.pdf_page import has_pictures, is_blank, page_text

_LISTED: Final = 20
_MOST_SEARCHED: Final = 20_000_000
"""Characters looked at for the places of headings: beyond them they count from the next page."""
_ENCRYPTED: Final = (raw.FPDF_ERR_PASSWORD, raw.FPDF_ERR_SECURITY)


@dataclass(slots=True)
class _Unread:
    """What is not in the text, by page."""

    scanned: list[int] = field(default_factory=list)
    pictures: list[int] = field(default_factory=list)
    comments: int = 0
    attached: int = 0

    def sentences(self) -> Iterator[str]:
        if self.scanned:
            yield (
                f"Pages without text, not read: {_listed(self.scanned)}. If they are scans,"
                " recognise their text (OCR) first."
            )
        if self.pictures:
            yield f"Pages with pictures, which are not read: {_listed(self.pictures)}."
        if self.comments:
            yield f"Comments, not read: {self.comments:,}."
        if self.attached:
            yield f"Attached files, not read: {self.attached:,}."


def _listed(pages: Sequence[int]) -> str:
    more = len(pages) - _LISTED
    return ", ".join(map(str, pages[:_LISTED])) + (f" and {more:,} more" if more > 0 else "")


def load_pdf(data: bytes, limits: FileLimits) -> LoadedText:
    pdf = _open(data)
    unread = _Unread()
    if len(pdf) > limits.pages:
        raise UnreadableFileError(f"it has {len(pdf):,} pages; at most {limits.pages:,} are read")
    outline, path = _outline(pdf), HeadingPath()
    headings: tuple[str, ...] = ()
    searched = 0
    builder = TextBuilder(limits.characters)
    for index in range(len(pdf)):
        text = _page_text(pdf, index, unread)
        start = builder.length
        builder.begin_section(headings, index + 1)
        for level, title in outline.get(index, ()):
            headings = path.enter(level, title)
            searched += len(text)
            words = map(re.escape, title.split(" "))
            place = re.search(r"\s+".join(words), text) if searched <= _MOST_SEARCHED else None
            if place:
                builder.begin_section(headings, index + 1, start=start + place.start())
        builder.add(text + "\n\n" if text else "")
    unread.attached = raw.FPDFDoc_GetAttachmentCount(pdf)
    title = clean(pdf.get_metadata_value("Title")).strip()
    return builder.build(title, {"pages": len(pdf)}, tuple(unread.sentences()))


def _open(data: bytes) -> pypdfium2.PdfDocument:
    try:
        pdf = pypdfium2.PdfDocument(data)
        if pdf.get_formtype() != raw.FORMTYPE_NONE:
            pdf.init_forms()
        return pdf
    except pypdfium2.PdfiumError as error:
        if error.err_code in _ENCRYPTED:
            raise UnreadableFileError("it is encrypted: save it without a password") from error
        raise UnreadableFileError("it is damaged, or no PDF") from error


def _page_text(pdf: pypdfium2.PdfDocument, index: int, unread: _Unread) -> str:
    """The words of a page, and below them those of its forms and notes."""
    page = pdf[index]
    try:
        text = page_text(page)
        noted, comments = noted_words(pdf, page)
        unread.comments += comments
        if not text and not is_blank(page):
            unread.scanned.append(index + 1)
        elif has_pictures(page):
            unread.pictures.append(index + 1)
        return "\n".join(filter(None, (text, *noted)))
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
