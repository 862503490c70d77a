"""Uploads of one owner: files that come in parts.

pending ──► completed (a file) │ cancelled
   └► forgotten, an hour after its beginning, with its parts
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import ColumnElement, Row, delete, func, insert, select, update
from sqlalchemy.engine import Connection

from llm_api.core.errors import InvalidRequestError, UploadNotFoundError
from llm_api.core.state.blobs import check_room, named, unnamed
from llm_api.core.state.file_records import (
    Content,
    FileRecord,
    NewFile,
    NewUpload,
    PartRecord,
    UploadRecord,
    UploadStatus,
)
from llm_api.core.state.files import insert_file, text_bytes
from llm_api.core.state.records import bytes_of
from llm_api.core.state.shared import SharedState
from llm_api.core.state.tables import upload_parts, uploads

MAX_PARTS: Final = 10_000
PART_ROW_BYTES: Final = 256


@dataclass(frozen=True, slots=True)
class Uploads:
    """Every method is about the uploads of `owner` alone; for it there are no others.

    Each but `create` raises UploadNotFoundError, also for one that has expired.
    """

    _shared: SharedState
    owner: str

    async def create(self, new: NewUpload) -> UploadRecord:
        """Begin one."""
        row = {
            "id": new.id,
            "owner": self.owner,
            "filename": new.filename,
            "content_type": new.content_type,
            "purpose": new.purpose,
            "bytes": new.bytes,
            "created_at": new.created_at,
            "expires_at": new.expires_at,
            "file_seconds": new.file_seconds,
            "status": "pending",
            "size": bytes_of(new.id, new.filename, new.content_type, new.purpose),
        }

        def work(on: Connection) -> UploadRecord:
            on.execute(insert(uploads), row)
            return self._get(on, new.id)

        return await self._shared.write(work, bytes_of(new.id, new.filename, new.content_type))

    async def get(self, id: str) -> UploadRecord:
        return await self._shared.read(lambda on: self._get(on, id))

    async def add_part(
        self, part: PartRecord, content: Content, key: str | None, max_bytes: int
    ) -> PartRecord | None:
        """As `Files.add`, for a part, whose own `key` means nothing yet.

        Raises InvalidRequestError as well, for an upload that has ended or has too many parts.
        """
        now = self._shared.now()

        def work(on: Connection) -> PartRecord | None:
            self._check_pending(on, part.upload_id)
            check_room(on, self.owner, content.bytes, max_bytes)
            found = named(on, content, key, now)
            if found is None:
                return None
            return _insert_part(on, part, found)

        return await self._shared.write(work, PART_ROW_BYTES)

    async def parts(self, id: str, part_ids: Sequence[str]) -> Sequence[PartRecord]:
        """These parts, in this order. Raises InvalidRequestError for one that is not there."""
        query = select(upload_parts).where(upload_parts.c.upload_id == id)

        def work(on: Connection) -> Sequence[PartRecord]:
            self._get(on, id)
            there = {row.id: _to_part(row) for row in on.execute(query)}
            for part_id in part_ids:
                if part_id not in there:
                    raise InvalidRequestError(
                        f"The upload has no part '{part_id}'.", param="part_ids"
                    )
            return [there[part_id] for part_id in part_ids]

        return await self._shared.read(work)

    async def complete(
        self, id: str, new: NewFile, content: Content, key: str | None
    ) -> FileRecord | None:
        """Make the file and forget the parts. `key` and None as in `Files.add`.

        Raises InvalidRequestError where the upload has ended.
        """
        now = self._shared.now()

        def work(on: Connection) -> FileRecord | None:
            self._check_pending(on, id)
            found = named(on, content, key, now)
            if found is None:
                return None
            self._end(on, id, "completed", new.id, now)
            return insert_file(on, self.owner, new, content, found)

        return await self._shared.write(work, text_bytes(new))

    async def cancel(self, id: str) -> UploadRecord:
        """Raises InvalidRequestError where it is completed."""
        now = self._shared.now()

        def work(on: Connection) -> UploadRecord:
            if self._get(on, id).status != "cancelled":
                self._check_pending(on, id)
                self._end(on, id, "cancelled", None, now)
            return self._get(on, id)

        return await self._shared.write(work)

    def _is(self, id: str) -> tuple[ColumnElement[bool], ...]:
        is_there = uploads.c.expires_at > self._shared.now()
        return uploads.c.id == id, uploads.c.owner == self.owner, is_there

    def _get(self, on: Connection, id: str) -> UploadRecord:
        row = on.execute(select(uploads).where(*self._is(id))).first()
        if row is None:
            raise UploadNotFoundError(
                f"There is no upload '{id}'; one that is not completed is forgotten in an hour.",
                param="upload_id",
            )
        return _to_upload(row)

    def _check_pending(self, on: Connection, id: str) -> None:
        """Locks its row until the transaction ends, where several write at once."""
        pending = update(uploads).where(*self._is(id), uploads.c.status == "pending")
        if not on.execute(pending.values(status="pending")).rowcount:
            status = self._get(on, id).status
            raise InvalidRequestError(f"The upload is {status}; begin another.", param="upload_id")

    def _end(
        self, on: Connection, id: str, status: UploadStatus, file_id: str | None, now: float
    ) -> None:
        on.execute(update(uploads).where(*self._is(id)).values(status=status, file_id=file_id))
        _delete_parts(on, [id], now)


def delete_uploads(on: Connection, ids: Sequence[str], now: float) -> None:
    """With their parts, whose ever they are."""
    _delete_parts(on, ids, now)
    on.execute(delete(uploads).where(uploads.c.id.in_(ids)))


def _delete_parts(on: Connection, upload_ids: Sequence[str], now: float) -> None:
    gone = delete(upload_parts).where(upload_parts.c.upload_id.in_(upload_ids))
    unnamed(on, on.execute(gone.returning(upload_parts.c.key)).scalars().all(), now)


def _insert_part(on: Connection, part: PartRecord, key: str) -> PartRecord:
    there = select(func.count()).where(upload_parts.c.upload_id == part.upload_id)
    if on.execute(there).scalar_one() >= MAX_PARTS:
        raise InvalidRequestError(f"An upload has {MAX_PARTS:,} parts at most; send larger ones.")
    row = {
        "id": part.id,
        "upload_id": part.upload_id,
        "created_at": part.created_at,
        "bytes": part.bytes,
        "key": key,
    }
    on.execute(insert(upload_parts), row)
    grown = update(uploads).where(uploads.c.id == part.upload_id)
    on.execute(grown.values(size=uploads.c.size + PART_ROW_BYTES))
    return PartRecord(part.id, part.upload_id, part.created_at, part.bytes, key)


def _to_upload(row: Row[Any]) -> UploadRecord:
    return UploadRecord(
        row.id,
        row.filename,
        row.content_type,
        row.purpose,
        row.bytes,
        row.created_at,
        row.expires_at,
        row.file_seconds,
        row.status,
        row.file_id,
    )


def _to_part(row: Row[Any]) -> PartRecord:
    return PartRecord(row.id, row.upload_id, row.created_at, row.bytes, row.key)
