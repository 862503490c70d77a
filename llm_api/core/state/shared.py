"""What the stores of all owners share: the database, the room in it, news, and a clock."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from llm_api.core.state.database import Database, Work
from llm_api.core.state.news import News
from llm_api.core.state.room import StateRoom

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class SharedState:
    """`worker` is the id of this process in the database. `now` gives Unix seconds.

    `jobs_changed` is set when this process submits a job, or asks to cancel one;
    `store_files_changed` when it asks something of a file of a vector store.
    """

    database: Database
    worker: str
    news: News
    room: StateRoom
    now: Callable[[], float]
    jobs_changed: asyncio.Event = field(default_factory=asyncio.Event)
    store_files_changed: asyncio.Event = field(default_factory=asyncio.Event)

    async def read(self, work: Work[Result]) -> Result:
        """As `Database.read`."""
        return await self.database.read(work)

    async def write(self, work: Work[Result], size: int = 0) -> Result:
        """As `Database.write`. Raises StateFullError where `size` more bytes find no room."""
        self.room.take(size)
        return await self.database.write(work)
