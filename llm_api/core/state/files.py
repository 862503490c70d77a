"""Files of one owner: what is known of them, and which bytes they name."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Row, delete, insert, or_, select, tuple_
from sqlalchemy.engine import Connection

from llm_api.core.errors import InvalidRequestError, StoredFileNotFoundError
from llm_api.core.state.blobs import check_room, named, unnamed
from llm_api.core.state.file_records import Content, FileRecord, NewFile
from llm_api.core.state.records import Page, PageRequest, bytes_of
from llm_api.core.state.shared import SharedState
from llm_api.core.state.tables import files


@dataclass(frozen=True, slots=True)
class Files:
    """Every method is about the files of `owner` alone; for it there are no others.

    One that has expired does not exist, even while its row does.
    """

    _shared: SharedState
    owner: str

    async def add(
        self, new: NewFile, content: Content, key: str | None, max_bytes: int
    ) -> FileRecord | None:
        """Store a file whose bytes lie at `key`; if that is None, where the same content does.

        None where no such content is stored. Raises FilesFullError where this owner would have
        more than `max_bytes`; StateFullError.
        """
        now = self._shared.now()

        def work(on: Connection) -> FileRecord | None:
            check_room(on, self.owner, content.bytes, max_bytes)
            found = named(on, content, key, now)
            return None if found is None else insert_file(on, self.owner, new, content, found)

        return await self._shared.write(work, text_bytes(new))

    async def get(self, id: str) -> FileRecord:
        """Raises StoredFileNotFoundError."""
        query = select(files).where(files.c.id == id, *self._are_own())

        def work(on: Connection) -> FileRecord:
            row = on.execute(query).first()
            if row is None:
                raise not_found(id)
            return _to_record(row)

        return await self._shared.read(work)

    async def list(self, page: PageRequest, purpose: str | None = None) -> Page[FileRecord]:
        """By the time of their making. Raises InvalidRequestError for an unknown `page.after`."""
        own = self._are_own()
        chosen = own if purpose is None else (*own, files.c.purpose == purpose)
        return await self._shared.read(lambda on: _page(on, page, own, chosen))

    async def delete(self, id: str) -> str:
        """The key of its bytes, which another file may name too. Raises StoredFileNotFoundError."""
        now = self._shared.now()
        gone = delete(files).where(files.c.id == id, *self._are_own()).returning(files.c.key)

        def work(on: Connection) -> str:
            key: str | None = on.execute(gone).scalar()
            if key is None:
                raise not_found(id)
            unnamed(on, [key], now)
            return key

        return await self._shared.write(work)

    def _are_own(self) -> tuple[ColumnElement[bool], ...]:
        is_there = or_(files.c.expires_at.is_(None), files.c.expires_at > self._shared.now())
        return files.c.owner == self.owner, is_there


def not_found(id: str) -> StoredFileNotFoundError:
    return StoredFileNotFoundError(f"There is no file '{id}'.", param="file_id")


def insert_file(on: Connection, owner: str, new: NewFile, content: Content, key: str) -> FileRecord:
    """A new row, whose bytes are named already."""
    row = {
        "id": new.id,
        "filename": new.filename,
        "content_type": new.content_type,
        "purpose": new.purpose,
        "created_at": new.created_at,
        "expires_at": new.expires_at,
        "bytes": content.bytes,
        "sha256": content.sha256,
        "key": key,
    }
    on.execute(insert(files), row | {"owner": owner, "size": text_bytes(new)})
    return FileRecord(**row)  # type: ignore[arg-type]


def delete_files(on: Connection, ids: Sequence[str], now: float) -> None:
    """Whose ever they are."""
    keys = on.execute(delete(files).where(files.c.id.in_(ids)).returning(files.c.key))
    unnamed(on, keys.scalars().all(), now)


def text_bytes(new: NewFile) -> int:
    """How much room its row takes."""
    return bytes_of(new.id, new.filename, new.content_type, new.purpose)


def _page(
    on: Connection,
    page: PageRequest,
    own: Sequence[ColumnElement[bool]],
    chosen: Sequence[ColumnElement[bool]],
) -> Page[FileRecord]:
    place = tuple_(files.c.created_at, files.c.id)
    query = select(files).where(*chosen)
    if page.after is not None:
        start = on.execute(
            select(files.c.created_at, files.c.id).where(files.c.id == page.after, *own)
        ).first()
        if start is None:
            raise InvalidRequestError(f"There is no file '{page.after}'.", param="after")
        query = query.where(place > tuple(start) if page.order == "asc" else place < tuple(start))
    columns = files.c.created_at, files.c.id
    order = columns if page.order == "asc" else tuple(one.desc() for one in columns)
    rows = on.execute(query.order_by(*order).limit(page.limit + 1)).all()
    return Page([_to_record(row) for row in rows[: page.limit]], len(rows) > page.limit)


def _to_record(row: Row[Any]) -> FileRecord:
    return FileRecord(
        row.id,
        row.filename,
        row.content_type,
        row.purpose,
        row.created_at,
        row.expires_at,
        row.bytes,
        row.sha256,
        row.key,
    )
