"""PDF: the text of its pages, under the headings of its outline. A door of pypdfium2.

Covers: values of filled forms, notes written on the page; scanned pages where `ocr_seconds` allow.
Does not cover: pictures beside text, comments and attached files, which the warnings name.
"""

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import pypdfium2  # type: ignore[import-untyped]  # it ships no types
from pypdfium2 import raw

from llm_api.core.errors import UnreadableFileError
from llm_api.core.rag.loaders.decode import clean
from llm_api.core.rag.loaders.loaded import FileLimits, HeadingPath, LoadedText, TextBuilder
from llm_api.core.rag.loaders.page_layout import Line
from llm_api.core.rag.loaders.pdf_forms import noted_words
from llm_api.core.rag.loaders.pdf_page import has_pictures, is_blank, page_lines, picture
from llm_api.core.rag.loaders.running_heads import without_running_heads

if TYPE_CHECKING:
    from llm_api.core.rag.loaders.ocr import Recogniser

_LISTED: Final = 20
_MOST_SEARCHED: Final = 20_000_000
"""Characters looked at for the places of headings: beyond them they count from the next page."""
_MOST_LAID_OUT: Final = 5_000_000
"""Characters of pages that columns and tables are looked for on: at most half a minute."""
_SENTENCE_END: Final = re.compile(r"[.!?:;]\W*$")
_ENCRYPTED: Final = (raw.FPDF_ERR_PASSWORD, raw.FPDF_ERR_SECURITY)


@dataclass(slots=True)
class _Unread:
    """What is not in the text, by page."""

    is_ocr_on: bool
    scanned: list[int] = field(default_factory=list)
    recognised: list[int] = field(default_factory=list)
    pictures: list[int] = field(default_factory=list)
    comments: int = 0
    attached: int = 0

    def sentences(self) -> Iterator[str]:
        if self.scanned:
            yield f"Pages without text, not read: {_listed(self.scanned)}. {self._why_scanned()}"
        if self.recognised:
            yield (
                "Pages whose text was recognised (OCR), and may differ from what is written:"
                f" {_listed(self.recognised)}."
            )
        if self.pictures:
            yield f"Pages with pictures, which are not read: {_listed(self.pictures)}."
        if self.comments:
            yield f"Comments, not read: {self.comments:,}."
        if self.attached:
            yield f"Attached files, not read: {self.attached:,}."

    def _why_scanned(self) -> str:
        if self.is_ocr_on:
            return "No text was recognised on them, or RAG_OCR_SECONDS left no time."
        return "If they are scans, RAG_OCR=auto recognises their text."


def _listed(pages: Sequence[int]) -> str:
    more = len(pages) - _LISTED
    return ", ".join(map(str, pages[:_LISTED])) + (f" and {more:,} more" if more > 0 else "")


def load_pdf(data: bytes, limits: FileLimits) -> LoadedText:
    pdf = _open(data)
    unread = _Unread(is_ocr_on=bool(limits.ocr_seconds))
    if len(pdf) > limits.pages:
        raise UnreadableFileError(f"it has {len(pdf):,} pages; at most {limits.pages:,} are read")
    pages = list(_pages(pdf, limits, unread))
    writer = _Writer(TextBuilder(limits.characters), _outline(pdf))
    bodies = without_running_heads([page.lines for page in pages])
    for index, (page, lines) in enumerate(zip(pages, bodies, strict=True)):
        following = bodies[index + 1] if index + 1 < len(bodies) else []
        writer.add_page(index, [*lines, *page.notes], is_continued=_goes_on(page, lines, following))
    unread.attached = raw.FPDFDoc_GetAttachmentCount(pdf)
    title = clean(pdf.get_metadata_value("Title")).strip()
    return writer.builder.build(title, {"pages": len(pdf)}, tuple(unread.sentences()))


@dataclass(frozen=True, slots=True)
class _Page:
    """What stands on a page, and below it the words of its forms and notes."""

    lines: list[Line]
    notes: list[Line]


def _goes_on(page: _Page, lines: Sequence[Line], following: Sequence[Line]) -> bool:
    """Whether a sentence goes on from this page to the next one."""
    if not lines or page.notes or not following:
        return False
    return following[0].text[:1].islower() and not _SENTENCE_END.search(lines[-1].text)


class _Writer:
    """Adds pages; what stands below a bookmark, or below the header of a table, is a section."""

    def __init__(self, builder: TextBuilder, outline: Mapping[int, list[tuple[int, str]]]) -> None:
        self.builder = builder
        self._outline = outline
        self._path = HeadingPath()
        self._headings: tuple[str, ...] = ()
        self._searched = 0

    def add_page(self, index: int, lines: Sequence[Line], *, is_continued: bool) -> None:
        text = "\n".join(line.text for line in lines)
        start, page, header = self.builder.length, index + 1, ""
        self.builder.begin_section(self._headings, page)
        for place, headings, name in sorted([*self._titles(index, text), *_headers(lines)]):
            self._headings = headings or self._headings
            header = header if headings else name
            path = (*self._headings, header) if header else self._headings
            self.builder.begin_section(path, page, start=start + place)
        self._headings = self._path.headings
        gap = "\n" if is_continued else "\n\n"
        self.builder.add(text + gap if text else "")

    def _titles(self, index: int, text: str) -> Iterator[tuple[int, tuple[str, ...], str]]:
        """Where bookmarks stand on this page; one that does not counts from the next page."""
        for level, title in self._outline.get(index, ()):
            headings = self._path.enter(level, title)
            self._searched += len(text)
            words = map(re.escape, title.split(" "))
            is_sought = self._searched <= _MOST_SEARCHED
            place = re.search(r"\s+".join(words), text) if is_sought else None
            if place:
                yield place.start(), headings, ""


def _headers(lines: Sequence[Line]) -> Iterator[tuple[int, tuple[str, ...], str]]:
    """Where the header above the lines changes."""
    place, header = 0, ""
    for line in lines:
        if line.header != header:
            header = line.header
            yield place, (), header
        place += len(line.text) + 1


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


def _pages(pdf: pypdfium2.PdfDocument, limits: FileLimits, unread: _Unread) -> Iterator[_Page]:
    recognised = _Recognised(limits.ocr_seconds)
    characters = 0
    for index in range(len(pdf)):
        page = pdf[index]
        try:
            rotation = page.get_rotation()
            lines = page_lines(page, lays_out=characters < _MOST_LAID_OUT)
            noted, comments = noted_words(pdf, page)
            unread.comments += comments
            if not lines and not is_blank(page):
                page.set_rotation(rotation)
                lines = recognised.lines(page)
                (unread.recognised if lines else unread.scanned).append(index + 1)
            elif has_pictures(page):
                unread.pictures.append(index + 1)
        finally:
            page.close()
        characters += sum(len(line.text) for line in lines)
        if characters > limits.characters:
            raise UnreadableFileError(f"it holds more than {limits.characters:,} characters")
        yield _Page(lines, list(map(Line, noted)))


class _Recognised:
    """The text of pages that have none, where it is to be recognised and there is time."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._recogniser: Recogniser | None = None

    def lines(self, page: pypdfium2.PdfPage) -> list[Line]:
        if not self._seconds:
            return []
        if self._recogniser is None:
            from llm_api.core.rag.loaders.ocr import Recogniser  # noqa: PLC0415 - an extra

            self._recogniser = Recogniser(self._seconds)
        return self._recogniser.lines(picture(page)) if self._recogniser.has_time else []


def _outline(pdf: pypdfium2.PdfDocument) -> Mapping[int, list[tuple[int, str]]]:
    """Level and title of the bookmarks, by the page that they lead to."""
    found = defaultdict(list)
    for bookmark in pdf.get_toc():
        target, title = bookmark.get_dest(), " ".join(clean(bookmark.get_title()).split())
        index = target.get_index() if target else None
        if index is not None and title:
            found[index].append((bookmark.level, title))
    return found
