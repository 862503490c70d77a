"""Bytes in files of a folder on this machine."""

import asyncio
import errno
import os
from collections.abc import AsyncGenerator, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from llm_api.core.errors import FilesFullError, StateUnavailableError
from llm_api.core.files.byte_storage import PIECE_BYTES
from llm_api.core.utils.long_work import to_the_end

_FULL: Final = {errno.ENOSPC, errno.EDQUOT}


@dataclass(frozen=True, slots=True)
class FolderStorage:
    """A key's file is `<folder>/<its first two characters>/<key>`; its user alone may read it."""

    folder: Path

    async def put(self, key: str, file: Path) -> None:
        with disk_errors():
            await asyncio.to_thread(_move, file, self._place(key))

    async def has(self, key: str) -> bool:
        with disk_errors():
            return await asyncio.to_thread(self._place(key).is_file)

    async def read(self, key: str) -> AsyncGenerator[bytes, None]:
        reading = _Reading(self._place(key))
        try:
            with disk_errors():
                while piece := await to_the_end(asyncio.to_thread(reading.read)):
                    yield piece
        finally:
            reading.close()

    async def remove(self, key: str) -> None:
        with disk_errors():
            await asyncio.to_thread(self._place(key).unlink, missing_ok=True)

    def _place(self, key: str) -> Path:
        return self.folder / key[:2] / key


class _Reading:
    """A file that is opened by its first read, in the thread that reads."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: BinaryIO | None = None

    def read(self) -> bytes:
        """The next piece, empty at the end. Blocks."""
        if self._file is None:
            self._file = self._path.open("rb")
        return self._file.read(PIECE_BYTES)

    def close(self) -> None:
        if self._file is not None:
            self._file.close()


def _move(file: Path, place: Path) -> None:
    """Move a file that is flushed already; the move outlives a loss of power. Blocks."""
    is_new = not place.parent.exists()
    place.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    file.replace(place)
    _flush(place.parent)
    if is_new:
        _flush(place.parent.parent)


def _flush(folder: Path) -> None:
    """Let the disk hold what was moved into a folder. Blocks."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def disk_errors() -> Generator[None, None, None]:
    """Raises what a disk raises as errors of the core, but for FileNotFoundError."""
    try:
        yield
    except FileNotFoundError:
        raise
    except OSError as error:
        if error.errno in _FULL:
            raise FilesFullError(
                "The disk of the server has no room for the file; free some room on it."
            ) from error
        raise StateUnavailableError(
            f"The storage of files does not answer: {os.strerror(error.errno or errno.EIO)}."
        ) from error
