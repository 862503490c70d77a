"""Where files are kept, and how many of them."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class S3Options:
    """Without a URL it is Amazon's. Without keys, those of the machine's role or environment."""

    bucket: str
    url: str | None = None
    region: str | None = None
    access_key_id: str | None = None
    secret_access_key: str | None = None
    prefix: str = ""


@dataclass(frozen=True, slots=True)
class FileOptions:
    """Bytes are kept in `folder`, or in S3; what arrives is in `folder` in either case.

    One file has `max_bytes` at most, all files of one owner together `owner_max_bytes`.
    """

    folder: Path
    max_bytes: int = 2 * 1024**3
    owner_max_bytes: int = 10 * 1024**3
    s3: S3Options | None = None
