"""SQLite: one thread writes, a few read. Writes that wait together are committed together.

    write a ─┐
    write b ─┼─► queue ─► writer: BEGIN, a, b, c, COMMIT (one fsync) ─► a, b and c are told
    write c ─┘

A commit takes milliseconds on a disk that keeps its word, whatever is in it; so the more there is
to write, the more each commit takes along. Where one of them raises, all are run again, each behind
a savepoint: that one alone is undone.
"""

import asyncio
import queue
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Generic, TypeVar

from sqlalchemy import Engine, create_engine, event
from sqlalchemy.engine import URL, Connection

from llm_api.core.errors import StateUnavailableError
from llm_api.core.state.database import DATABASE_ERRORS, Work, translated, translated_errors

Result = TypeVar("Result")

READERS: Final = 2
GROUP: Final = 64
"""Writes of one commit at most, so that the first one need not wait for long."""
BUSY_SECONDS: Final = 10
"""How long another process may write before this one gives up."""
CACHE_KIBIBYTES: Final = 16_384
JOURNAL_BYTES: Final = 64 * 1024 * 1024
"""To which the write-ahead log shrinks after a large write."""
SPARE_PAGES, GIVEN_BACK_PAGES = 2_500, 500
"""Of 4 KiB: those that stay free, and those that one transaction gives back."""


@dataclass(slots=True)
class _Write(Generic[Result]):
    work: Work[Result]
    loop: asyncio.AbstractEventLoop
    done: "asyncio.Future[Result]"
    result: Result | None = None
    error: BaseException | None = None


class SQLiteDatabase:
    """Opened by `open_sqlite`."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._readers = ThreadPoolExecutor(READERS, thread_name_prefix="state-reader")
        self._writes: queue.SimpleQueue[_Write[Any] | None] = queue.SimpleQueue()
        self._is_closed = False
        self._writer = threading.Thread(target=self._write_all, name="state-writer", daemon=True)
        self._writer.start()

    async def read(self, work: Work[Result]) -> Result:
        self._check_open()
        return await asyncio.get_running_loop().run_in_executor(self._readers, self._read, work)

    async def write(self, work: Work[Result]) -> Result:
        self._check_open()
        loop = asyncio.get_running_loop()
        done: asyncio.Future[Result] = loop.create_future()
        self._writes.put(_Write(work, loop, done))
        return await done

    async def give_back(self) -> None:
        while await self.write(_give_back):
            pass

    async def aclose(self) -> None:
        if self._is_closed:
            return
        self._is_closed = True
        self._writes.put(None)
        await asyncio.to_thread(self._writer.join)
        await asyncio.to_thread(self._readers.shutdown)
        self._engine.dispose()

    def _check_open(self) -> None:
        if self._is_closed:
            raise StateUnavailableError("The server is stopping.")

    def _read(self, work: Work[Result]) -> Result:
        with translated_errors(), self._engine.connect() as connection:
            connection.exec_driver_sql("BEGIN")
            return work(connection)

    def _write_all(self) -> None:
        """The life of the writer's thread."""
        connection: Connection | None = None
        while (first := self._writes.get()) is not None:
            group: list[_Write[Any]] = [first]
            is_last = self._fill(group)
            try:
                if connection is None or connection.invalidated:
                    connection = self._engine.connect()
                _commit(connection, group)
            except Exception as error:  # noqa: BLE001 - the border of the thread: all are told
                _fail(group, error)
                if connection is not None:
                    connection.close()
                    connection = None
            _tell(group)
            if is_last:
                break
        if connection is not None:
            connection.close()

    def _fill(self, group: list[_Write[Any]]) -> bool:
        """Append what waits. Whether nothing comes after it."""
        while len(group) < GROUP:
            try:
                write = self._writes.get_nowait()
            except queue.Empty:
                return False
            if write is None:
                return True
            group.append(write)
        return False


def _commit(connection: Connection, group: list[_Write[Any]]) -> None:
    """Run the writes in one transaction; where one raises, again, each behind a savepoint."""
    try:
        connection.exec_driver_sql("BEGIN IMMEDIATE")
        for write in group:
            write.result = write.work(connection)
        connection.commit()
    except Exception:  # noqa: BLE001 - the second time it is told to who waits for it
        connection.rollback()
        _commit_apart(connection, group)


def _commit_apart(connection: Connection, group: list[_Write[Any]]) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")
    for write in group:
        connection.exec_driver_sql("SAVEPOINT one")
        try:
            write.result = write.work(connection)
        except Exception as error:  # noqa: BLE001 - it is told to who waits for this one
            write.error = translated(error) if isinstance(error, DATABASE_ERRORS) else error
            connection.exec_driver_sql("ROLLBACK TO one")
        connection.exec_driver_sql("RELEASE one")
    connection.commit()


def _fail(group: list[_Write[Any]], error: Exception) -> None:
    """Nothing of the group is stored."""
    failure = translated(error)
    for write in group:
        write.error = write.error or failure


def _tell(group: list[_Write[Any]]) -> None:
    """Wake who waits, with one call for each event loop."""
    for loop in {write.loop for write in group}:
        with suppress(RuntimeError):  # it is closed: nobody waits there
            loop.call_soon_threadsafe(_settle, [one for one in group if one.loop is loop])


def _settle(group: list[_Write[Any]]) -> None:
    for write in group:
        if write.done.done():
            continue  # nobody waits any more; it is stored all the same
        if write.error is not None:
            write.done.set_exception(write.error)
        else:
            write.done.set_result(write.result)


def _give_back(connection: Connection) -> bool:
    """Whether there is more of it: others write in between. A little is left for new rows."""
    free: int = connection.exec_driver_sql("PRAGMA freelist_count").scalar_one()
    if free <= SPARE_PAGES:
        return False
    for _ in range(GIVEN_BACK_PAGES):
        # Python steps once, and SQLite gives back a page with each step.
        connection.exec_driver_sql("PRAGMA incremental_vacuum")
    return True


def open_sqlite(path: Path, upgrade: Callable[[Connection], None]) -> SQLiteDatabase:
    """The database of this file, made if need be, with the tables that `upgrade` leaves. Blocks.

    The file is readable by its user alone. Raises StateUnavailableError where it cannot be opened.
    """
    with translated_errors():
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        path.touch(mode=0o600)
    engine = create_engine(
        URL.create("sqlite", database=str(path)),
        pool_size=READERS + 1,
        max_overflow=0,
        hide_parameters=True,  # what clients have sent does not belong into a log
        connect_args={"timeout": BUSY_SECONDS, "check_same_thread": False},
    )
    event.listen(engine, "connect", _configure)
    try:
        with translated_errors(), engine.connect() as connection:
            connection.exec_driver_sql("BEGIN IMMEDIATE")
            upgrade(connection)
            connection.commit()
    except BaseException:
        engine.dispose()
        raise
    return SQLiteDatabase(engine)


def _configure(connection: Any, _record: object) -> None:
    """Let nobody but us begin transactions, and a commit wait for the disk."""
    connection.isolation_level = None
    for pragma in (
        "auto_vacuum=INCREMENTAL",  # before the first table: deleted rows give room back
        "journal_mode=WAL",
        "synchronous=FULL",
        f"journal_size_limit={JOURNAL_BYTES}",
        "foreign_keys=ON",
        f"cache_size=-{CACHE_KIBIBYTES}",
    ):
        connection.execute(f"PRAGMA {pragma}")
