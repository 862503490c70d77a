"""Which processes that use the database are alive, so that nothing waits for one that is dead.

With SQLite all of them are on this machine: each holds a lock on a file, which the kernel frees
however the process ends. With PostgreSQL they may be anywhere: each signs in every few seconds, by
the clock of the database.
"""

import asyncio
import fcntl
import logging
import os
from collections.abc import Set
from contextlib import suppress
from pathlib import Path
from typing import Final, Protocol

from sqlalchemy import ColumnElement, Float, cast, delete, extract, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.engine import Connection

from llm_api.core.errors import LLMAPIError
from llm_api.core.state.database import Database
from llm_api.core.state.tables import workers

log = logging.getLogger(__name__)

SIGN_IN_SECONDS: Final = 3.0
DEAD_AFTER_SECONDS: Final = 15.0
"""Four sign-ins are missing: every other process takes this one for dead."""
FORGOTTEN_AFTER_SECONDS: Final = 3600.0


class Liveness(Protocol):
    async def dead(self, ids: Set[str]) -> Set[str]:
        """Those that are dead, out of the ids of other processes."""
        ...

    async def aclose(self) -> None: ...


class LockedFile:
    """How those that share the folder see this process. Making it blocks."""

    def __init__(self, folder: Path, id: str) -> None:
        folder.mkdir(mode=0o700, exist_ok=True)
        self._folder = folder
        self._descriptor = _hold(folder / id)
        self._file = folder / id
        for file in folder.iterdir():
            _remove_if_free(file)

    async def dead(self, ids: Set[str]) -> Set[str]:
        """A file's lock is tried, which does not wait."""
        return {id for id in ids if _remove_if_free(self._folder / id)}

    async def aclose(self) -> None:
        self._file.unlink(missing_ok=True)
        os.close(self._descriptor)


def _hold(file: Path) -> int:
    """The descriptor of a file that is locked, and lies there still."""
    while True:
        descriptor = os.open(file, os.O_CREAT | os.O_RDWR, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if file.stat().st_ino == os.fstat(descriptor).st_ino:
                return descriptor
        except OSError:  # another process, starting now, takes it for a dead one's
            pass
        os.close(descriptor)


def _remove_if_free(file: Path) -> bool:
    """Whether nobody holds the file (any more)."""
    try:
        descriptor = os.open(file, os.O_RDWR)
    except FileNotFoundError:
        return True
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        file.unlink(missing_ok=True)
    except BlockingIOError:
        return False
    finally:
        os.close(descriptor)
    return True


class SignedIn:
    """How those that share the database see this process. Opened by `sign_in`."""

    def __init__(self, database: Database, id: str) -> None:
        self._database = database
        self._id = id
        self._signing = asyncio.create_task(self._sign_regularly(), name="state-liveness")

    async def dead(self, ids: Set[str]) -> Set[str]:
        alive = select(workers.c.id).where(
            workers.c.id.in_(ids), workers.c.seen_at > _now() - DEAD_AFTER_SECONDS
        )
        found = await self._database.read(lambda on: set(on.execute(alive).scalars()))
        return ids - found

    async def aclose(self) -> None:
        self._signing.cancel()
        await asyncio.gather(self._signing, return_exceptions=True)
        with suppress(LLMAPIError):
            await self._database.write(lambda on: _sign_out(on, self._id))

    async def _sign_regularly(self) -> None:
        while True:
            await asyncio.sleep(SIGN_IN_SECONDS)
            try:
                await self._database.write(lambda on: _sign(on, self._id))
            except LLMAPIError as error:
                log.debug("this process cannot sign in: %s", error.message)


async def sign_in(database: Database, id: str) -> SignedIn:
    """Raises as `Database.write`."""
    await database.write(lambda on: _sign(on, id))
    return SignedIn(database, id)


def _sign(on: Connection, id: str) -> None:
    now = _now()
    signed = insert(workers).values(id=id, seen_at=now)
    on.execute(signed.on_conflict_do_update(index_elements=["id"], set_={"seen_at": now}))
    on.execute(delete(workers).where(workers.c.seen_at < now - FORGOTTEN_AFTER_SECONDS))


def _sign_out(on: Connection, id: str) -> None:
    on.execute(delete(workers).where(workers.c.id == id))


def _now() -> ColumnElement[float]:
    """Unix seconds, as PostgreSQL has them."""
    return cast(extract("epoch", func.clock_timestamp()), Float)
