"""Whether a file can be a document at all, by its size and its first bytes. Blocks.

What is left out here is named, and never sent: one file of a gigabyte must not end a whole ingest.
"""

from pathlib import Path
from typing import Final, Literal, TypeAlias

from llm_api.core.errors import UnreadableFileError
from llm_api.core.rag.loaders.decode import decode
from llm_api.core.rag.loaders.kinds import Kind, binary_kind
from llm_api.core.rag.loaders.loaded import FileLimits

Unfit: TypeAlias = Literal["empty", "binary", "too large"]

MAX_FILE_BYTES: Final = FileLimits().file_bytes
HEAD_BYTES: Final = 4096


def why_unfit(head: bytes, size: int, name: str) -> Unfit | None:
    """Why a file of this size that begins so is not stored; None where it may be. Pure."""
    if not size:
        return "empty"
    if size > MAX_FILE_BYTES:
        return "too large"
    try:
        if binary_kind(head, name) is None and b"\0" in head:
            decode(head)
    except UnreadableFileError:
        # What is encrypted, or of an Office of long ago, is said by the loader that knows why.
        return None if head.startswith(b"\xd0\xcf\x11\xe0") else "binary"
    return None


def head_of(path: Path) -> bytes:
    """The first bytes of a file. Raises OSError."""
    with path.open("rb") as stream:
        return stream.read(HEAD_BYTES)


def is_picture(path: Path) -> bool:
    """Whether the file is one, as far as it can be opened."""
    try:
        return binary_kind(head_of(path), path.name) is Kind.IMAGE
    except (OSError, UnreadableFileError):
        return False
