"""The table of loaders: a file's bytes in, its text out. Blocks; `worker` gives it a process."""

from dataclasses import replace

from llm_api.core.errors import UnreadableFileError
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
    kind = binary_kind(data)
    warnings: tuple[str, ...] = ()
    if kind is not None:
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


_WHY_EMPTY = {Kind.PDF: "there is no text in it; if it is a scan, recognise its text (OCR) first"}


def _load_binary(kind: Kind, data: bytes, limits: FileLimits) -> LoadedText:
    if kind is Kind.PDF:
        from llm_api.core.rag.loaders.pdf import load_pdf

        return load_pdf(data, limits)
    from llm_api.core.rag.loaders.docx import load_docx

    return load_docx(data, limits)


def _load_text(kind: Kind, text: str, limits: FileLimits) -> LoadedText:
    match kind:
        case Kind.MARKDOWN:
            from llm_api.core.rag.loaders.markdown import load_markdown

            return load_markdown(text)
        case Kind.HTML:
            from llm_api.core.rag.loaders.html import load_html

            return load_html(text, limits.characters)
        case Kind.CSV:
            from llm_api.core.rag.loaders.csv_table import load_csv

            return load_csv(text, limits.characters)
        case Kind.JSON:
            from llm_api.core.rag.loaders.json_values import load_json

            return load_json(text, limits.characters)
        case Kind.CODE:
            from llm_api.core.rag.loaders.source_code import load_code

            return load_code(text)
        case _:
            return LoadedText(text)
