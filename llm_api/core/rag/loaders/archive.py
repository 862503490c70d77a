"""Archives that are documents: what each is, and that it unpacks to no more than it may."""

import io
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final
from xml.etree import ElementTree

from llm_api.core.errors import UnreadableFileError
from llm_api.core.rag.loaders.kinds import Kind
from llm_api.core.rag.loaders.loaded import FileLimits

_CONTENT_TYPES: Final = "[Content_Types].xml"
_MIME_TYPE: Final = "mimetype"
_OFFICE: Final = {
    Kind.DOCX: (b"wordprocessingml.document.main", b"ms-word.document"),
    Kind.XLSX: (b"spreadsheetml.sheet.main", b"ms-excel.sheet.macroEnabled"),
    Kind.PPTX: (
        b"presentationml.presentation.main",
        b"presentationml.slideshow.main",
        b"ms-powerpoint.presentation.macroEnabled",
    ),
}
_OPEN_DOCUMENT: Final = b"application/vnd.oasis.opendocument."
_EPUB: Final = b"application/epub+zip"
_SPARED_BYTES: Final = 1_000_000
_MAX_MEMBERS: Final = 10_000


@contextmanager
def opened_archive(data: bytes, limits: FileLimits) -> Iterator[zipfile.ZipFile]:
    """The archive, once it is known to be small enough. Raises `UnreadableFileError`."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            _check_size(archive, len(data), limits)
            yield archive
    except zipfile.BadZipFile as error:
        raise UnreadableFileError("it is damaged: no whole archive") from error


def archive_kind(archive: zipfile.ZipFile) -> Kind:
    """By what it says of itself. Raises `UnreadableFileError` for what no loader reads."""
    names = archive.namelist()
    if _CONTENT_TYPES in names:
        types = read_member(archive, _CONTENT_TYPES)
        for kind, words in _OFFICE.items():
            if any(word in types for word in words):
                return kind
        raise UnreadableFileError("it is another Office file than DOCX, XLSX and PPTX")
    mime_type = read_member(archive, _MIME_TYPE).strip() if _MIME_TYPE in names else b""
    if mime_type == _EPUB:
        return Kind.EPUB
    if mime_type.startswith(_OPEN_DOCUMENT):
        return Kind.OPEN_DOCUMENT
    raise UnreadableFileError("it is a ZIP archive, which is not supported")


def read_member(archive: zipfile.ZipFile, name: str) -> bytes:
    """No more of it than the archive says: `ZipFile.read` unpacks all, and looks at that then.

    Raises `UnreadableFileError` where there is no such member.
    """
    try:
        with archive.open(name) as member:
            return member.read(archive.getinfo(name).file_size)
    except KeyError as error:
        raise UnreadableFileError(f"it is damaged: {name} is missing") from error


def markup_of(data: bytes) -> ElementTree.Element:
    """The root of a member's XML. Raises `UnreadableFileError` for declared entities."""
    if b"<!DOCTYPE" in data or b"<!ENTITY" in data:  # no program writes them, and they can explode
        raise UnreadableFileError("it is damaged: its markup declares entities")
    return ElementTree.fromstring(data)  # noqa: S314 - it has no entities


def local_name(element: ElementTree.Element) -> str:
    """The name of an element without its namespace."""
    return element.tag.rpartition("}")[2]


def attribute(element: ElementTree.Element, name: str) -> str:
    """The value of an attribute of this name in any namespace; empty where there is none."""
    return next(
        (value for key, value in element.attrib.items() if key.rpartition("}")[2] == name), ""
    )


def _check_size(archive: zipfile.ZipFile, packed_bytes: int, limits: FileLimits) -> None:
    """By what the archive says of its members, before any of them is read.

    An archive that understates a member is caught when that is read: `zipfile` reads no byte
    more than it says, and then the checksum fails.
    """
    members = archive.infolist()
    unpacked = sum(member.file_size for member in members)
    may_unpack = max(_SPARED_BYTES, packed_bytes * limits.expansion_ratio)
    if unpacked > min(may_unpack, limits.unpacked_bytes) or len(members) > _MAX_MEMBERS:
        raise UnreadableFileError(
            f"it unpacks to {unpacked:,} bytes in {len(members):,} parts, more than is allowed"
        )
    if any(member.flag_bits & 1 for member in members):
        raise UnreadableFileError("it is encrypted: save it without a password")
