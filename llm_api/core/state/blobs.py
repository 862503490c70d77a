"""Which bytes are stored, and how many rows name them. Knows no storage: `core/files` has one.

    (nothing) ──begin──► arriving ──keep──► kept ◄──► one row more, one less
                            │                 │ the last row that names it goes
                            └── an hour ──► going ──► bytes removed, row forgotten

Bytes are put into the storage while their row is `arriving`, and removed while it is `going`. A key
is never used again: who stores the same content meanwhile does so under another. So no row names
bytes that are being removed, and no bytes are without a row, wherever a process dies.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final
from uuid import uuid4

from sqlalchemy import case, delete, func, insert, select, update
from sqlalchemy.engine import Connection

from llm_api.core.errors import FilesFullError, StateUnavailableError
from llm_api.core.state.file_records import Content
from llm_api.core.state.shared import SharedState
from llm_api.core.state.tables import blobs, files, upload_parts, uploads

ARRIVING_SECONDS: Final = 3600.0
"""After which nobody puts bytes into the storage any more."""
BATCH: Final = 200


@dataclass(frozen=True, slots=True)
class Blobs:
    """The bytes of all owners, for those who put them into the storage and remove them."""

    _shared: SharedState

    async def begin(self, content: Content) -> str:
        """The key under which this process may put that content into the storage."""
        key = f"{content.sha256}-{uuid4().hex[:12]}"
        row = {
            "key": key,
            "sha256": content.sha256,
            "bytes": content.bytes,
            "state": "arriving",
            "names": 0,
            "changed_at": self._shared.now(),
        }
        await self._shared.write(lambda on: on.execute(insert(blobs), row))
        return key

    async def going(self) -> Sequence[str]:
        """The keys of bytes to remove, some of them."""
        query = select(blobs.c.key).where(blobs.c.state == "going").limit(BATCH)
        return await self._shared.read(lambda on: on.execute(query).scalars().all())

    async def is_going(self, key: str) -> bool:
        """Whether the bytes at this key are to be removed."""
        query = select(blobs.c.key).where(blobs.c.key == key, blobs.c.state == "going")
        return await self._shared.read(lambda on: on.execute(query).first()) is not None

    async def forget(self, keys: Sequence[str]) -> None:
        """Of bytes that are removed."""
        gone = delete(blobs).where(blobs.c.key.in_(keys), blobs.c.state == "going")
        await self._shared.write(lambda on: on.execute(gone))


def named(on: Connection, content: Content, key: str | None, now: float) -> str | None:
    """Count one row more that names bytes, and say by which key.

    By `key`, which has just been put into the storage, or, if it is None, by that of the same
    content; None where there is no such.
    """
    if key is None:
        return _shared_key(on, content)
    change = update(blobs).where(blobs.c.key == key, blobs.c.state == "arriving")
    if not on.execute(change.values(state="kept", names=1, changed_at=now)).rowcount:
        raise StateUnavailableError("Storing the file took too long; send it again.")
    return key


def _shared_key(on: Connection, content: Content) -> str | None:
    """The state is asked again in the change: the row may go in between."""
    is_same = blobs.c.sha256 == content.sha256, blobs.c.state == "kept"
    found = select(blobs.c.key).where(*is_same).limit(1).scalar_subquery()
    change = update(blobs).where(blobs.c.key == found, blobs.c.state == "kept")
    key: str | None = on.execute(
        change.values(names=blobs.c.names + 1).returning(blobs.c.key)
    ).scalar()
    return key


def unnamed(on: Connection, keys: Iterable[str], now: float) -> None:
    """Count one row less for each of the keys; what none names any more is going."""
    for key, count in sorted(Counter(keys).items()):  # in one order: others lock the same rows
        left = blobs.c.names - count
        state = case((left > 0, blobs.c.state), else_="going")
        change = update(blobs).where(blobs.c.key == key)
        on.execute(change.values(names=left, state=state, changed_at=now))


def abandon(on: Connection, before: float) -> None:
    """What has been arriving since that moment is going."""
    late = update(blobs).where(blobs.c.state == "arriving", blobs.c.changed_at < before)
    on.execute(late.values(state="going"))


def check_room(on: Connection, owner: str, more: int, max_bytes: int) -> None:
    """Raises FilesFullError where the owner's files and parts have no room for `more` bytes."""
    own_files = select(func.coalesce(func.sum(files.c.bytes), 0)).where(files.c.owner == owner)
    own_parts = (
        select(func.coalesce(func.sum(upload_parts.c.bytes), 0))
        .join(uploads, uploads.c.id == upload_parts.c.upload_id)
        .where(uploads.c.owner == owner)
    )
    used = sum(int(on.execute(query).scalar_one()) for query in (own_files, own_parts))
    if used + more > max_bytes:
        raise FilesFullError(
            f"Your files have {used:,} bytes, of {max_bytes:,} at most: there is no room for"
            f" {more:,} more. Delete some, or raise FILES_OWNER_MAX_BYTES."
        )
