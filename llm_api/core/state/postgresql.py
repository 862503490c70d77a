"""PostgreSQL: transactions on the event loop, from a pool of connections."""

from typing import Final, TypeVar

from sqlalchemy import func, select
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from llm_api.core.errors import StateUnavailableError
from llm_api.core.state.database import Work, translated_errors

Result = TypeVar("Result")

CONNECTIONS: Final = 10
CONNECT_SECONDS: Final = 5
QUERY_SECONDS: Final = 60
ATTEMPTS: Final = 3
UPGRADE_LOCK: Final = 7_310_116
"""A number that no one else locks: processes that start together upgrade one after the other."""
_TRY_AGAIN: Final = {"40001", "40P01"}
"""Serialization failure and deadlock, in PostgreSQL's numbers: another transaction came between."""


class PostgreSQLDatabase:
    """Belongs to the event loop it is used on. Opened by `open_postgresql`."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._is_closed = False
        self._engine = engine

    async def read(self, work: Work[Result]) -> Result:
        return await self._run(work)

    async def write(self, work: Work[Result]) -> Result:
        return await self._run(work)

    async def give_back(self) -> None:
        """Its autovacuum does it."""

    async def aclose(self) -> None:
        self._is_closed = True
        await self._engine.dispose()

    async def _run(self, work: Work[Result]) -> Result:
        if self._is_closed:
            raise StateUnavailableError("The server is stopping.")
        with translated_errors():
            for _ in range(ATTEMPTS - 1):
                try:
                    return await self._once(work)
                except DBAPIError as error:
                    if not (error.connection_invalidated or _came_between(error)):
                        raise
            return await self._once(work)

    async def _once(self, work: Work[Result]) -> Result:
        async with self._engine.begin() as connection:
            return await connection.run_sync(work)


def _came_between(error: DBAPIError) -> bool:
    return getattr(error.orig, "sqlstate", None) in _TRY_AGAIN


async def open_postgresql(url: str, upgrade: Work[None]) -> PostgreSQLDatabase:
    """The database of this URL, with the tables that `upgrade` leaves.

    Raises StateUnavailableError where it does not answer.
    """
    engine = create_async_engine(
        with_driver(url),
        pool_size=CONNECTIONS,
        max_overflow=0,
        hide_parameters=True,  # what clients have sent does not belong into a log
        pool_timeout=CONNECT_SECONDS,
        connect_args={"timeout": CONNECT_SECONDS, "command_timeout": QUERY_SECONDS},
    )
    try:
        with translated_errors():
            async with engine.begin() as connection:
                await connection.execute(select(func.pg_advisory_xact_lock(UPGRADE_LOCK)))
                await connection.run_sync(upgrade)
    except BaseException:
        await engine.dispose()
        raise
    return PostgreSQLDatabase(engine)


def with_driver(url: str) -> URL:
    """The URL for our driver, whatever name `postgres://...` was given. Pure."""
    return make_url(url).set(drivername="postgresql+asyncpg")
