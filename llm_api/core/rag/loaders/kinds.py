"""What kind of file it is: by its content first, then by its extension. Pure."""

import re
from enum import StrEnum
from pathlib import PurePosixPath
from typing import Final

from llm_api.core.errors import UnreadableFileError
from llm_api.core.rag.loaders.json_values import looks_like_json


class Kind(StrEnum):
    TEXT = "text"
    MARKDOWN = "markdown"
    HTML = "html"
    PDF = "pdf"
    ARCHIVE = "archive"  # until it has been opened
    DOCX = "docx"
    PPTX = "pptx"
    XLSX = "xlsx"
    OPEN_DOCUMENT = "opendocument"
    EPUB = "epub"
    RTF = "rtf"
    MAIL = "mail"
    OUTLOOK = "outlook"
    XML = "xml"
    IMAGE = "image"
    CSV = "csv"
    JSON = "json"
    NOTEBOOK = "notebook"
    CODE = "code"


MAX_LABEL_CHARACTERS: Final = 255

_EXTENSIONS: Final = {
    Kind.TEXT: "txt text log rst adoc asciidoc tex org",
    Kind.MARKDOWN: "md markdown mdown mkd mdx",
    Kind.HTML: "html htm xhtml",
    Kind.CSV: "csv tsv tab",
    Kind.JSON: "json jsonl ndjson geojson webmanifest",
    Kind.NOTEBOOK: "ipynb",
    Kind.XML: "xml rss atom opml",
    Kind.CODE: "py pyi js mjs cjs jsx ts tsx java kt kts scala go rs c h cc cpp cxx hpp cs swift m"
    " mm rb php pl pm lua r jl sh bash zsh fish ps1 sql hs ml mli ex exs erl clj dart vue svelte"
    " css scss less svg yaml yml toml ini cfg conf proto graphql tf cmake gradle",
}
_BY_EXTENSION: Final = {
    extension: kind for kind, extensions in _EXTENSIONS.items() for extension in extensions.split()
}
_OLD_OFFICE: Final = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_ENCRYPTED_OFFICE: Final = "EncryptedPackage".encode("utf-16-le")
_OUTLOOK: Final = "__properties_version1.0".encode("utf-16-le")
_MAIL: Final = re.compile(rb"(?:From [^\n]{1,500}\n)?[A-Za-z][A-Za-z0-9-]{0,100}:[ \t\r\n]")
_STARTS: Final = {
    Kind.ARCHIVE: (b"PK\x03\x04", b"PK\x05\x06", b"PK\x07\x08"),
    Kind.RTF: (b"{\\rtf",),
    Kind.IMAGE: (b"\x89PNG\r\n", b"\xff\xd8\xff", b"GIF8", b"II*\0", b"MM\0*"),
}
_UNSUPPORTED: Final = {
    b"%!PS": "PostScript",
    b"\x1f\x8b": "a compressed archive",
    b"7z\xbc\xaf": "a compressed archive",
    b"\x7fELF": "a program",
}
_HTML: Final = re.compile(
    r"\s*(?:<\?xml[^>]{0,500}>\s*)?(?:<!--(?:[^-]|-(?!->)){0,2000}-->\s*)?"
    r"<(?:!doctype\s+html|html|head|body)[\s>]",
    re.IGNORECASE,
)
_XML: Final = re.compile(r"\s*<\?xml\s")


def label(name: str) -> str:
    """A file's name as it may be shown: no folders, no control characters, bounded. Pure."""
    plain = "".join(character for character in name if character.isprintable())
    return PurePosixPath(plain.replace("\\", "/")).name[-MAX_LABEL_CHARACTERS:] or "file"


def binary_kind(data: bytes, name: str) -> Kind | None:
    """The kind of a file whose bytes a loader needs, None for what may be text.

    By its first bytes; mail, which begins as any text may, by its extension too.

    Raises `UnreadableFileError` for kinds that no loader reads.
    """
    if data.startswith(_OLD_OFFICE):
        return _kind_of_compound(data)
    if PurePosixPath(name).suffix.lower() == ".eml" and _MAIL.match(data):
        return Kind.MAIL
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return Kind.IMAGE
    if data.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"%PDF-"):
        return Kind.PDF
    for kind, starts in _STARTS.items():
        if data.startswith(starts):
            return kind
    for start, what in _UNSUPPORTED.items():
        if data.startswith(start):
            raise UnreadableFileError(f"it is {what}, which is not supported")
    return None


def _kind_of_compound(data: bytes) -> Kind:
    if _ENCRYPTED_OFFICE in data:
        raise UnreadableFileError("it is encrypted")
    if _OUTLOOK in data:
        return Kind.OUTLOOK
    raise UnreadableFileError("files of Office 97 are not supported: save as DOCX, XLSX or PPTX")


def text_kind(text: str, name: str) -> Kind:
    """The kind of a text file. An extension is believed where the content does not contradict."""
    if _HTML.match(text[:4000]):
        return Kind.HTML
    kind = _BY_EXTENSION.get(PurePosixPath(name).suffix[1:].lower())
    if kind in (None, Kind.TEXT) and _XML.match(text):
        return Kind.XML
    if kind is None and text.startswith("#!"):
        return Kind.CODE
    if kind in (None, Kind.TEXT, Kind.CSV) and looks_like_json(text):
        return Kind.JSON
    return kind or Kind.TEXT
