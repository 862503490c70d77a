"""The table of loaders: a file's bytes in, its text out. Blocks; `worker` gives it a process."""

import zipfile
from dataclasses import replace

from llm_api.core.errors import UnreadableFileError
from llm_api.core.rag.loaders.archive import archive_kind, opened_archive
from llm_api.core.rag.loaders.decode import decode
from llm_api.core.rag.loaders.kinds import Kind, binary_kind, label, text_kind
from llm_api.core.rag.loaders.loaded import FileLimits, LoadedText

# Each loader's library is imported when the first file of its kind comes.
# ruff: noqa: PLC0415


def load(data: bytes, name: str, limits: FileLimits, charset: str = "") -> LoadedText:
    """The text of a file. Raises `UnreadableFileError` with one line that says why there is none.

    `charset` is what was declared beside the file.

    Lets through whatever else a parser raises on a file that its authors never thought of.
    """
    kind = binary_kind(data, name)
    warnings: tuple[str, ...] = ()
    if kind is Kind.ARCHIVE:
        with opened_archive(data, limits) as archive:
            kind = archive_kind(archive)
            loaded = _load_archive(kind, archive, data, limits.characters)
    elif kind is not None:
        loaded = _load_binary(kind, data, limits)
    else:
        decoded = decode(data, charset)
        warnings = decoded.warnings
        kind = text_kind(decoded.text, name)
        loaded = _load_text(kind, decoded.text, limits)
    if not loaded.text.strip():
        raise UnreadableFileError(_WHY_EMPTY.get(kind, "there is no text in it"))
    if len(loaded.text) > limits.characters:
        raise UnreadableFileError(f"it holds more than {limits.characters:,} characters")
    metadata = {"file_name": label(name), "kind": kind.value, **loaded.metadata}
    return replace(loaded, metadata=metadata, warnings=(*warnings, *loaded.warnings))


_WHY_EMPTY = {Kind.PDF: "there is no text in it; if it is a scan, RAG_OCR=auto recognises its text"}


def _load_binary(kind: Kind, data: bytes, limits: FileLimits) -> LoadedText:
    match kind:
        case Kind.RTF:
            from llm_api.core.rag.loaders.rtf import load_rtf

            return load_rtf(data)
        case Kind.MAIL:
            from llm_api.core.rag.loaders.mail import load_mail

            return load_mail(data, limits.characters)
        case Kind.IMAGE:
            if not limits.ocr_seconds:
                raise UnreadableFileError("it is an image; RAG_OCR=auto recognises its text")
            from llm_api.core.rag.loaders.ocr import load_image

            return load_image(data, limits)
        case Kind.OUTLOOK:
            from llm_api.core.rag.loaders.outlook import load_outlook

            return load_outlook(data, limits.characters)
        case _:
            from llm_api.core.rag.loaders.pdf import load_pdf

            return load_pdf(data, limits)


def _load_archive(
    kind: Kind, archive: zipfile.ZipFile, data: bytes, max_characters: int
) -> LoadedText:
    match kind:
        case Kind.XLSX:
            from llm_api.core.rag.loaders.xlsx import load_xlsx

            return load_xlsx(data, max_characters)
        case Kind.PPTX:
            from llm_api.core.rag.loaders.pptx import load_pptx

            return load_pptx(archive, max_characters)
        case Kind.OPEN_DOCUMENT:
            from llm_api.core.rag.loaders.open_document import load_open_document

            return load_open_document(archive, max_characters)
        case Kind.EPUB:
            from llm_api.core.rag.loaders.epub import load_epub

            return load_epub(archive, max_characters)
        case _:
            from llm_api.core.rag.loaders.docx import load_docx

            return load_docx(archive, max_characters)


def _load_text(kind: Kind, text: str, limits: FileLimits) -> LoadedText:
    match kind:
        case Kind.MARKDOWN:
            from llm_api.core.rag.loaders.markdown import load_markdown

            return load_markdown(text)
        case Kind.HTML:
            from llm_api.core.rag.loaders.html import load_html

            return load_html(text, limits.characters)
        case Kind.CODE:
            from llm_api.core.rag.loaders.source_code import load_code

            return load_code(text)
        case Kind.CSV | Kind.JSON | Kind.NOTEBOOK | Kind.XML:
            return _load_values(kind, text, limits.characters)
        case _:
            return LoadedText(text)


def _load_values(kind: Kind, text: str, max_characters: int) -> LoadedText:
    match kind:
        case Kind.CSV:
            from llm_api.core.rag.loaders.csv_table import load_csv

            return load_csv(text, max_characters)
        case Kind.NOTEBOOK:
            from llm_api.core.rag.loaders.notebook import load_notebook

            return load_notebook(text, max_characters)
        case Kind.XML:
            from llm_api.core.rag.loaders.xml_elements import load_xml

            return load_xml(text, max_characters)
        case _:
            from llm_api.core.rag.loaders.json_values import load_json

            return load_json(text, max_characters)
