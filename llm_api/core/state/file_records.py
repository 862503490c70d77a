"""What is known of files and of uploads, without their bytes: plain values."""

from dataclasses import dataclass
from typing import Literal, TypeAlias

UploadStatus: TypeAlias = Literal["pending", "completed", "cancelled"]


@dataclass(frozen=True, slots=True)
class Content:
    """Bytes, by what they are: two contents of one `sha256` are the same."""

    sha256: str
    bytes: int


@dataclass(frozen=True, slots=True)
class NewFile:
    """A file that is about to be stored. Times are in Unix seconds."""

    id: str
    filename: str
    content_type: str
    purpose: str
    created_at: float
    expires_at: float | None = None


@dataclass(frozen=True, slots=True)
class FileRecord:
    """A file whose bytes are stored, at `key` in the storage of bytes."""

    id: str
    filename: str
    content_type: str
    purpose: str
    created_at: float
    expires_at: float | None
    bytes: int
    sha256: str
    key: str

    @property
    def charset(self) -> str:
        """That its type names, or ""."""
        return self.content_type.partition("; charset=")[2]


@dataclass(frozen=True, slots=True)
class NewUpload:
    """A file of `bytes` that comes in parts, until `expires_at`.

    The file then expires `file_seconds` after its making, if that is given.
    """

    id: str
    filename: str
    content_type: str
    purpose: str
    bytes: int
    created_at: float
    expires_at: float
    file_seconds: int | None = None


@dataclass(frozen=True, slots=True)
class UploadRecord:
    """A look at an upload. `file_id` is what a completed one has made."""

    id: str
    filename: str
    content_type: str
    purpose: str
    bytes: int
    created_at: float
    expires_at: float
    file_seconds: int | None
    status: UploadStatus
    file_id: str | None


@dataclass(frozen=True, slots=True)
class PartRecord:
    """A part of an upload, stored at `key`."""

    id: str
    upload_id: str
    created_at: float
    bytes: int
    key: str
