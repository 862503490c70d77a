"""The state, opened: the database with its newest tables, who is alive, what is swept."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from uuid import uuid4

from llm_api.core.state.blobs import Blobs
from llm_api.core.state.conversations import Conversations
from llm_api.core.state.database import Database
from llm_api.core.state.files import Files
from llm_api.core.state.job_queue import JobQueue
from llm_api.core.state.jobs import Jobs
from llm_api.core.state.liveness import Liveness, LockedFile, sign_in
from llm_api.core.state.news import News
from llm_api.core.state.options import StateOptions
from llm_api.core.state.responses import Responses, look
from llm_api.core.state.room import StateRoom
from llm_api.core.state.schema import upgrade
from llm_api.core.state.shared import SharedState
from llm_api.core.state.sources import SourceNotes
from llm_api.core.state.sqlite import open_sqlite
from llm_api.core.state.store_file_queue import StoreFileQueue
from llm_api.core.state.store_files import StoreFileRows
from llm_api.core.state.sweep import Sweeper
from llm_api.core.state.threads import Threads
from llm_api.core.state.uploads import Uploads
from llm_api.core.state.usage import UsageRows
from llm_api.core.state.vector_stores import VectorStoreRows


@dataclass(frozen=True, slots=True)
class OwnedState:
    """What one owner has stored."""

    responses: Responses
    threads: Threads
    conversations: Conversations
    jobs: Jobs
    sources: SourceNotes
    files: Files
    uploads: Uploads


@dataclass(frozen=True, slots=True)
class StoreRows:
    """What is known of vector stores. Who may see a collection is asked before."""

    stores: VectorStoreRows
    files: StoreFileRows
    queue: StoreFileQueue


@dataclass(frozen=True, slots=True)
class OpenState:
    """The way to the state of each owner, and to the work that waits for a process."""

    _shared: SharedState
    sweeper: Sweeper

    def of(self, owner: str) -> OwnedState:
        shared = self._shared
        return OwnedState(
            Responses(shared, owner),
            Threads(shared, owner),
            Conversations(shared, owner),
            Jobs(shared, owner),
            SourceNotes(shared, owner),
            Files(shared, owner),
            Uploads(shared, owner),
        )

    def queue(self, kind: str) -> JobQueue:
        return JobQueue(self._shared, kind)

    def blobs(self) -> Blobs:
        return Blobs(self._shared)

    def usage(self) -> UsageRows:
        return UsageRows(self._shared)

    def vector_stores(self) -> StoreRows:
        shared = self._shared
        return StoreRows(VectorStoreRows(shared), StoreFileRows(shared), StoreFileQueue(shared))


@asynccontextmanager
async def open_state(options: StateOptions) -> AsyncGenerator[OpenState, None]:
    """The state, swept once before anybody reads it, then regularly.

    Raises StateUnavailableError, StateError.
    """
    worker = f"worker_{uuid4().hex}"
    async with (
        _open_database(options) as database,
        _present(options, database, worker) as liveness,
        aclosing(News(lambda ids: database.read(look(ids)))) as news,
    ):
        shared = SharedState(database, worker, news, StateRoom(options.max_bytes), options.now)
        sweeper = Sweeper(shared, liveness, options.days, options.usage_days)
        await sweeper.end_lost()
        await sweeper.make_room()
        sweeping = asyncio.create_task(sweeper.run(), name="state-sweep")
        try:
            yield OpenState(shared, sweeper)
        finally:
            sweeping.cancel()
            await asyncio.gather(sweeping, return_exceptions=True)


@asynccontextmanager
async def _open_database(options: StateOptions) -> AsyncGenerator[Database, None]:
    database: Database
    if options.url is None:
        database = await asyncio.to_thread(open_sqlite, options.file, upgrade)
    else:
        from llm_api.core.state.postgresql import open_postgresql  # noqa: PLC0415

        database = await open_postgresql(options.url, upgrade)
    async with aclosing(database):
        yield database


@asynccontextmanager
async def _present(
    options: StateOptions, database: Database, worker: str
) -> AsyncGenerator[Liveness, None]:
    liveness: Liveness
    if options.url is None:
        liveness = await asyncio.to_thread(LockedFile, options.folder / "workers", worker)
    else:
        liveness = await sign_in(database, worker)
    async with aclosing(liveness):
        yield liveness
