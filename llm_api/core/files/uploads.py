"""Files that come in parts: each is stored by itself; when all are there, the file is made."""

from collections.abc import AsyncGenerator, AsyncIterable, Awaitable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from llm_api.core.errors import FileTooLargeError, InvalidRequestError
from llm_api.core.files.arriving import Arrived, arriving
from llm_api.core.files.files import FileService
from llm_api.core.state.file_records import (
    FileRecord,
    NewFile,
    NewUpload,
    PartRecord,
    UploadRecord,
)

if TYPE_CHECKING:
    from llm_api.core.state.uploads import Uploads

MAX_PART_BYTES: Final = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class OwnedUploads:
    """The uploads of `owner`; for it there are no others.

    The methods raise StateUnavailableError and StateError, and, but for `create`,
    UploadNotFoundError.
    """

    service: FileService
    owner: str

    async def create(self, new: NewUpload) -> UploadRecord:
        """Begin one. Raises FileTooLargeError where its file would be."""
        if new.bytes > self.service.max_bytes:
            raise FileTooLargeError(
                f"A file has {self.service.max_bytes:,} bytes at most.", param="bytes"
            )
        return await (await self._store()).create(new)

    async def get(self, id: str) -> UploadRecord:
        return await (await self._store()).get(id)

    async def add_part(self, part: PartRecord, pieces: AsyncIterable[bytes]) -> PartRecord:
        """Store a part, as its bytes come.

        Raises FileTooLargeError, FilesFullError; InvalidRequestError for an empty part, and where
        the upload has ended.
        """
        service, store = self.service, await self._store()
        most = min(MAX_PART_BYTES, (await store.get(part.upload_id)).bytes)
        async with arriving(service.folder, pieces, most) as arrived:
            sized = replace(part, bytes=arrived.content.bytes)

            def add(key: str | None) -> Awaitable[PartRecord | None]:
                return store.add_part(sized, arrived.content, key, service.owner_max_bytes)

            return await service.keep(arrived, add)

    async def complete(
        self, id: str, file: NewFile, part_ids: Sequence[str], md5: str | None
    ) -> tuple[UploadRecord, FileRecord]:
        """Make the file of these parts, in this order. Asked again, it answers the same.

        Raises InvalidRequestError for a part that is not there, and where the parts together are
        not what was announced: their size, or `md5` in hexadecimal.
        """
        store = await self._store()
        upload = await store.get(id)
        if upload.file_id is not None:
            files = (await self.service.state.of(self.owner)).files
            return upload, await files.get(upload.file_id)
        parts = await store.parts(id, part_ids)
        _check_size(upload, parts)
        async with (
            aclosing(self._joined(parts)) as pieces,
            arriving(self.service.folder, pieces, upload.bytes) as arrived,
        ):
            _check_md5(arrived, md5)
            stored = await self._keep(store, id, file, arrived)
        for key in {part.key for part in parts}:
            await self.service.remove_if_going(key)
        return await store.get(id), stored

    async def cancel(self, id: str) -> UploadRecord:
        """End it, and forget its parts. Raises InvalidRequestError where it is completed."""
        cancelled = await (await self._store()).cancel(id)
        await self.service.remove_going()
        return cancelled

    async def _store(self) -> "Uploads":
        return (await self.service.state.of(self.owner)).uploads

    async def _joined(self, parts: Sequence[PartRecord]) -> AsyncGenerator[bytes, None]:
        for part in parts:
            async with aclosing(self.service.pieces(part.key, part.id)) as pieces:
                async for piece in pieces:
                    yield piece

    async def _keep(self, store: "Uploads", id: str, file: NewFile, arrived: Arrived) -> FileRecord:
        def add(key: str | None) -> Awaitable[FileRecord | None]:
            return store.complete(id, file, arrived.content, key)

        return await self.service.keep(arrived, add)


def _check_size(upload: UploadRecord, parts: Sequence[PartRecord]) -> None:
    size = sum(part.bytes for part in parts)
    if size != upload.bytes:
        raise InvalidRequestError(
            f"The parts have {size:,} bytes together; the upload was begun for {upload.bytes:,}.",
            param="part_ids",
        )


def _check_md5(arrived: Arrived, md5: str | None) -> None:
    if md5 is not None and md5.lower() != arrived.md5:
        raise InvalidRequestError(
            f"The parts together have the MD5 {arrived.md5}, not the one that was sent: send them"
            " anew.",
            param="md5",
        )
