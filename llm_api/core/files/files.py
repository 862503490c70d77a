"""Files of each owner: rows in the state, bytes in a storage. Equal contents share their bytes.

pieces ──► a file of its own, hashed ──► is there such content?
    yes: one row more names it
    no:  a row of the bytes, the bytes, a row of the file   (in this order: `state/blobs`)
"""

import logging
from collections.abc import AsyncGenerator, AsyncIterable, Awaitable, Callable, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from llm_api.core.errors import FileTooLargeError, LLMAPIError, StateError, StoredFileNotFoundError
from llm_api.core.files.arriving import Arrived, arriving
from llm_api.core.files.byte_storage import ByteStorage
from llm_api.core.state.file_records import FileRecord, NewFile, PartRecord
from llm_api.core.state.records import Page, PageRequest
from llm_api.core.state.state import State

log = logging.getLogger(__name__)

Added = TypeVar("Added", FileRecord, PartRecord)

Add = Callable[[str | None], Awaitable[Added | None]]
"""Stores a row that names the bytes at a key; with None, those of the same content, or nothing."""


@dataclass(frozen=True, slots=True)
class FileService:
    """The files of all owners. `folder` takes what arrives.

    One file has `max_bytes` at most, all files of one owner together `owner_max_bytes`.
    """

    state: State
    storage: ByteStorage
    folder: Path
    max_bytes: int
    owner_max_bytes: int

    def of(self, owner: str) -> "OwnedFiles":
        """The files of one owner. There is no other way to any."""
        return OwnedFiles(self, owner)

    async def keep(self, arrived: Arrived, add: Add[Added]) -> Added:
        """What `add` has stored for the arrived bytes. Raises what it and the storage do."""
        if (added := await add(None)) is not None:
            if not await self.storage.has(added.key):  # somebody has removed what is ours
                await self.storage.put(added.key, arrived.file)
            return added
        key = await (await self.state.blobs()).begin(arrived.content)
        await self.storage.put(key, arrived.file)
        if (added := await add(key)) is None:
            raise StateError("The file was not stored; send it again.")
        return added

    async def remove_going(self) -> None:
        """Remove the bytes that no row names any more."""
        blobs = await self.state.blobs()
        removed: Sequence[str] = ["any"]
        while removed and (keys := await blobs.going()):
            removed = [key for key in keys if await self._has_removed(key)]
            await blobs.forget(removed)

    async def remove_if_going(self, key: str) -> None:
        """Remove these bytes if no row names them any more; later, where that fails now."""
        with suppress(LLMAPIError):
            blobs = await self.state.blobs()
            if await blobs.is_going(key) and await self._has_removed(key):
                await blobs.forget([key])

    async def _has_removed(self, key: str) -> bool:
        try:
            await self.storage.remove(key)
        except LLMAPIError as error:
            log.warning("the bytes of a file cannot be removed: %s", error.message)
            return False
        return True

    async def pieces(self, key: str, id: str) -> AsyncGenerator[bytes, None]:
        """The bytes at a key, for what has this id. Raises StoredFileNotFoundError."""
        try:
            async with aclosing(self.storage.read(key)) as pieces:
                async for piece in pieces:
                    yield piece
        except FileNotFoundError as error:
            raise StoredFileNotFoundError(f"The bytes of '{id}' are gone.") from error


@dataclass(frozen=True, slots=True)
class OwnedFiles:
    """The files of `owner`; for it there are no others. Made by `FileService.of`.

    The methods raise StateUnavailableError and StateError.
    """

    service: FileService
    owner: str

    async def create(self, new: NewFile, pieces: AsyncIterable[bytes]) -> FileRecord:
        """Store a file, as its bytes come. It outlives this process once this returns.

        Raises FileTooLargeError, FilesFullError, InvalidRequestError for an empty file.
        """
        service = self.service
        store = (await service.state.of(self.owner)).files
        async with arriving(service.folder, pieces, service.max_bytes) as arrived:

            def add(key: str | None) -> Awaitable[FileRecord | None]:
                return store.add(new, arrived.content, key, service.owner_max_bytes)

            return await service.keep(arrived, add)

    async def get(self, id: str) -> FileRecord:
        """Raises StoredFileNotFoundError."""
        return await (await self.service.state.of(self.owner)).files.get(id)

    async def list(self, page: PageRequest, purpose: str | None = None) -> Page[FileRecord]:
        """Raises InvalidRequestError for an unknown `page.after`."""
        return await (await self.service.state.of(self.owner)).files.list(page, purpose)

    async def delete(self, id: str) -> None:
        """The file, and its bytes if no other has the same. Raises StoredFileNotFoundError."""
        key = await (await self.service.state.of(self.owner)).files.delete(id)
        await self.service.remove_if_going(key)

    def pieces(self, file: FileRecord) -> AsyncGenerator[bytes, None]:
        """Its bytes, as they are read. Raises StoredFileNotFoundError where they are gone."""
        return self.service.pieces(file.key, file.id)

    async def content(self, file: FileRecord, max_bytes: int) -> bytes:
        """Its bytes as a whole, in memory. Raises FileTooLargeError beyond `max_bytes`."""
        if file.bytes > max_bytes:
            raise FileTooLargeError(
                f"The file '{file.id}' has {file.bytes:,} bytes; {max_bytes:,} at most are read."
            )
        async with aclosing(self.pieces(file)) as pieces:
            return b"".join([piece async for piece in pieces])
