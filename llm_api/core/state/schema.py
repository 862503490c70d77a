"""Brings a database to the newest version, within the caller's transaction and lock."""

from pathlib import Path
from typing import Final

from sqlalchemy import inspect
from sqlalchemy.engine import Connection

from llm_api.core.errors import StateUnavailableError

NEWEST: Final = "0007"
"""The last revision in `migrations/versions`; a test compares."""


def upgrade(connection: Connection) -> None:
    """Make the tables what this version of the code needs. Blocks. Mutates the database.

    Alembic is imported only where there is something to do: it takes 0.1 s.
    Raises StateUnavailableError for a database that a newer version has written.
    """
    version = current_version(connection)
    if version == NEWEST:
        return
    if version is not None and version > NEWEST:
        raise StateUnavailableError(
            f"The database was written by a newer version of llm_api ({version}, not {NEWEST});"
            " run that one, or restore a backup."
        )
    from alembic import command  # noqa: PLC0415
    from alembic.config import Config  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.attributes["connection"] = connection
    command.upgrade(config, NEWEST)


def current_version(connection: Connection) -> str | None:
    """That of the database; None for an empty one."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    version = connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar()
    return None if version is None else str(version)
