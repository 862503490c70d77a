"""The state as the server holds it: opened by its first use. Importing this costs nothing.

SQLAlchemy takes 0.2 s to import, and a database some time to open: a server that never stores
anything pays neither.
"""

import asyncio
from contextlib import AbstractAsyncContextManager, AsyncExitStack, suppress
from typing import TYPE_CHECKING, Final

from llm_api.core.errors import StateUnavailableError
from llm_api.core.state.options import StateOptions
from llm_api.core.utils.long_work import to_the_end

PAUSE_SECONDS: Final = 1.0
"""Before what nobody has asked for: the start of the server comes first."""

if TYPE_CHECKING:
    from llm_api.core.state.blobs import Blobs
    from llm_api.core.state.job_queue import JobQueue
    from llm_api.core.state.opened import OpenState, OwnedState, StoreRows
    from llm_api.core.state.usage import UsageRows


class State:
    """Belongs to one event loop. The opener closes it.

    `of`, `queue` and `blobs` raise StateUnavailableError or StateError where the database cannot
    be opened; the next call tries again.
    """

    def __init__(self, options: StateOptions) -> None:
        self._options = options
        self._stack = AsyncExitStack()
        self._opening = asyncio.Lock()
        self._is_open = asyncio.Event()
        self._open: OpenState | None = None
        self._is_closed = False

    @property
    def keeps_responses(self) -> bool:
        """Whether a response may be stored at all, or be made in the background."""
        return self._options.days > 0

    async def of(self, owner: str) -> "OwnedState":
        """What this owner has stored, by the identity of its key. There is no other way to any."""
        return (self._open or await self._opened()).of(owner)

    async def queue(self, kind: str) -> "JobQueue":
        """The jobs of that kind that wait for a process to run them."""
        return (self._open or await self._opened()).queue(kind)

    async def blobs(self) -> "Blobs":
        """Which bytes of files are stored, whose ever they are."""
        return (self._open or await self._opened()).blobs()

    async def usage(self) -> "UsageRows":
        """What keys use, which belongs to no owner: it is counted of them, not by them."""
        return (self._open or await self._opened()).usage()

    async def vector_stores(self) -> "StoreRows":
        """What is known of vector stores, which are collections and belong to no owner."""
        return (self._open or await self._opened()).vector_stores()

    @property
    def may_hold_something(self) -> bool:
        """False where nobody has ever opened it."""
        return self._options.url is not None or self._options.file.exists()

    async def used(self) -> None:
        """Return when somebody opens it; soon where there may be something in it already."""
        with suppress(TimeoutError):
            async with asyncio.timeout(PAUSE_SECONDS if self.may_hold_something else None):
                await self._is_open.wait()

    async def aclose(self) -> None:
        """Idempotent."""
        async with self._opening:
            self._is_closed = True
            self._open = None
            await self._stack.aclose()

    async def _opened(self) -> "OpenState":
        async with self._opening:
            if self._is_closed:
                raise StateUnavailableError("The server is stopping.")
            if self._open is None:
                # To the end: a database that is half open when its first user leaves would stay so.
                return await to_the_end(self._opened_anew())
            return self._open

    async def _opened_anew(self) -> "OpenState":
        opening = await asyncio.to_thread(_opening, self._options)
        self._open = await self._stack.enter_async_context(opening)
        self._is_open.set()
        return self._open


def _opening(options: StateOptions) -> "AbstractAsyncContextManager[OpenState]":
    from llm_api.core.state.opened import open_state  # noqa: PLC0415

    return open_state(options)
