"""Where the state is kept, and how much of it."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class StateOptions:
    """In PostgreSQL if `url` is set, else in SQLite in `folder`.

    A response is kept for `days` after its end, what a key has used for `usage_days`. `max_bytes`
    bounds the texts of all that is kept.
    """

    folder: Path
    url: str | None = None
    days: int = 30
    usage_days: int = 90
    max_bytes: int = 4 * 1024**3
    now: Callable[[], float] = time.time

    @property
    def file(self) -> Path:
        """The file of SQLite."""
        return self.folder / "state.sqlite3"
