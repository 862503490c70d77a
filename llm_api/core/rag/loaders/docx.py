"""DOCX: its text by way of HTML. The one door of mammoth."""

import io
import zipfile
from dataclasses import replace
from typing import Final

import mammoth  # type: ignore[import-untyped]  # it ships no types

from llm_api.core.errors import UnreadableFileError
from llm_api.core.rag.loaders.docx_parts import read_member, readable_docx
from llm_api.core.rag.loaders.html import load_html
from llm_api.core.rag.loaders.loaded import FileLimits, LoadedText

_CONTENT_TYPES: Final = "[Content_Types].xml"
_WORD: Final = (b"wordprocessingml.document.main", b"ms-word.document")
_SPARED_BYTES: Final = 1_000_000
_MAX_MEMBERS: Final = 10_000


def load_docx(data: bytes, limits: FileLimits) -> LoadedText:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            _check_size(archive, len(data), limits)
            _check_kind(archive)
            readable, warnings = readable_docx(archive)
    except zipfile.BadZipFile as error:
        raise UnreadableFileError("it is damaged: no whole archive") from error
    result = mammoth.convert_to_html(
        io.BytesIO(readable),
        convert_image=lambda image: [],
        include_embedded_style_map=False,
        external_file_access=False,
    )
    loaded = load_html(result.value, limits.characters)
    return replace(loaded, warnings=(*loaded.warnings, *warnings))


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


def _check_kind(archive: zipfile.ZipFile) -> None:
    is_office = _CONTENT_TYPES in archive.namelist()
    types = read_member(archive, _CONTENT_TYPES) if is_office else b""
    if not any(word in types for word in _WORD):
        what = "another Office file than DOCX" if is_office else "a ZIP archive"
        raise UnreadableFileError(f"it is {what}, which is not supported")
