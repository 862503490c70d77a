"""The protocol of a database: functions of a connection, run in transactions. Knows no tables.

One function serves both databases: SQLite runs it in a thread (`sqlite`), PostgreSQL on the event
loop, where its driver waits without blocking (`postgresql`).
"""

import logging
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Final, Protocol, TypeAlias, TypeVar

from sqlalchemy.engine import Connection
from sqlalchemy.exc import (
    DBAPIError,
    InterfaceError,
    OperationalError,
    SQLAlchemyError,
    TimeoutError,
)

from llm_api.core.errors import (
    InvalidRequestError,
    LLMAPIError,
    StateError,
    StateFullError,
    StateUnavailableError,
)

log = logging.getLogger(__name__)

Result = TypeVar("Result")

Work: TypeAlias = Callable[[Connection], Result]
"""What is done in one transaction. It may be run again from the start, so its only effects are
those on the connection."""


class Database(Protocol):
    """The methods raise StateUnavailableError, StateFullError, StateError, and what `work` does."""

    async def read(self, work: Work[Result]) -> Result:
        """The result of queries, all of the same moment."""
        ...

    async def write(self, work: Work[Result]) -> Result:
        """The result, once it is committed: it outlives this process, and a loss of power."""
        ...

    async def give_back(self) -> None:
        """Return room on the disk that deleted rows have left, where nobody else does."""
        ...

    async def aclose(self) -> None:
        """Return once what was begun is committed. Idempotent."""
        ...


DATABASE_ERRORS: Final = (SQLAlchemyError, OSError, UnicodeEncodeError)
"""What `translated` is for."""
_UNKEEPABLE: Final = {"22000", "22021"}
"""PostgreSQL's names for texts with half of a surrogate pair, and with a NUL."""
_FULL: Final = {"SQLITE_FULL", "53100"}
"""SQLite's and PostgreSQL's names for a full disk."""


@contextmanager
def translated_errors() -> Generator[None, None, None]:
    """Raises what the database raises as errors of the core."""
    try:
        yield
    except DATABASE_ERRORS as error:
        raise translated(error) from error


def translated(error: BaseException) -> LLMAPIError:
    """An error of the database as one of the core's; logged, since a client is told less."""
    original = error.orig if isinstance(error, DBAPIError) else None
    name = getattr(original, "sqlite_errorname", None) or getattr(original, "sqlstate", None)
    if name in _UNKEEPABLE or isinstance(original or error, UnicodeEncodeError):
        return InvalidRequestError("A text has a NUL, or half of a surrogate pair: leave it out.")
    log.warning("the database: %s", error)
    if name in _FULL:
        return StateFullError("The disk of the database is full; free some room on it.")
    if isinstance(error, OperationalError | InterfaceError | TimeoutError | OSError):
        return StateUnavailableError("The database does not answer at the moment; try again.")
    return StateError("The database refused this; the log says more.")
