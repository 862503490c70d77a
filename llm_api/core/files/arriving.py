"""Bytes that arrive: written to a file of their own while they are counted and hashed."""

import asyncio
import hashlib
import os
import time
from collections.abc import AsyncGenerator, AsyncIterable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final
from uuid import uuid4

from llm_api.core.errors import FileTooLargeError, InvalidRequestError
from llm_api.core.files.folder_storage import disk_errors
from llm_api.core.state.file_records import Content
from llm_api.core.utils.long_work import to_the_end

ABANDONED_SECONDS: Final = 86_400.0
"""After which a file that nobody has written to was left by a process that died."""


@dataclass(frozen=True, slots=True)
class Arrived:
    """A file that is whole, and flushed to the disk."""

    file: Path
    content: Content
    md5: str


@asynccontextmanager
async def arriving(
    folder: Path, pieces: AsyncIterable[bytes], max_bytes: int
) -> AsyncGenerator[Arrived, None]:
    """All pieces, in a file of this folder that is gone afterwards, unless it was moved away.

    Raises FileTooLargeError beyond `max_bytes`, InvalidRequestError where nothing comes,
    FilesFullError, StateUnavailableError, and what `pieces` raises.
    """
    writing = _Writing(folder / uuid4().hex)
    try:
        async for piece in pieces:
            if writing.bytes + len(piece) > max_bytes:
                raise FileTooLargeError(
                    f"The file has more than {max_bytes:,} bytes, the most that is stored of one."
                )
            with disk_errors():
                await to_the_end(asyncio.to_thread(writing.write, piece))
        if not writing.bytes:
            raise InvalidRequestError("The file is empty.", param="file")
        with disk_errors():
            arrived = await to_the_end(asyncio.to_thread(writing.finish))
        yield arrived
    finally:
        writing.close()


class _Writing:
    """A file that is made by its first write, in the thread that writes."""

    def __init__(self, path: Path) -> None:
        self.bytes = 0
        self._path = path
        self._file: BinaryIO | None = None
        self._sha256 = hashlib.sha256()
        self._md5 = hashlib.md5(usedforsecurity=False)

    def write(self, piece: bytes) -> None:
        """Blocks."""
        self._opened().write(piece)
        self._sha256.update(piece)
        self._md5.update(piece)
        self.bytes += len(piece)

    def finish(self) -> Arrived:
        """Flush it to the disk. Blocks."""
        file = self._opened()
        file.flush()
        os.fsync(file.fileno())
        content = Content(self._sha256.hexdigest(), self.bytes)
        return Arrived(self._path, content, self._md5.hexdigest())

    def close(self) -> None:
        """Remove it, unless it was moved away."""
        if self._file is not None:
            with suppress(OSError):  # a full disk takes the rest no more than it took the first
                self._file.close()
            self._path.unlink(missing_ok=True)

    def _opened(self) -> BinaryIO:
        if self._file is None:
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY
            self._file = os.fdopen(os.open(self._path, flags, 0o600), "wb")
        return self._file


def remove_abandoned(folder: Path) -> None:
    """Remove what dead processes have left. Blocks."""
    for file in folder.iterdir() if folder.is_dir() else ():
        try:
            if file.stat().st_mtime < time.time() - ABANDONED_SECONDS:
                file.unlink(missing_ok=True)
        except FileNotFoundError:
            continue  # another process ends its own
