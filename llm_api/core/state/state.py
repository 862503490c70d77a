"""The state as the server holds it: opened by its first use. Importing this costs nothing.

SQLAlchemy takes 0.2 s to import, and a database some time to open: a server that never stores
anything pays neither.
"""

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from typing import TYPE_CHECKING

from llm_api.core.errors import StateUnavailableError
from llm_api.core.state.options import StateOptions

if TYPE_CHECKING:
    from llm_api.core.state.opened import OwnedState


class State:
    """Belongs to one event loop. The opener closes it."""

    def __init__(self, options: StateOptions) -> None:
        self._options = options
        self._stack = AsyncExitStack()
        self._opening = asyncio.Lock()
        self._find: Callable[[str], OwnedState] | None = None
        self._is_closed = False

    @property
    def keeps_responses(self) -> bool:
        """Whether a response may be stored at all, or be made in the background."""
        return self._options.days > 0

    async def of(self, owner: str) -> "OwnedState":
        """What this owner has stored, by the identity of its key. There is no other way to any.

        Raises StateUnavailableError or StateError where the database cannot be opened; the next
        call tries again.
        """
        if self._find is not None:
            return self._find(owner)
        async with self._opening:
            if self._is_closed:
                raise StateUnavailableError("The server is stopping.")
            if self._find is None:
                opened = await asyncio.to_thread(_imported)
                self._find = await self._stack.enter_async_context(opened(self._options))
        return self._find(owner)

    async def aclose(self) -> None:
        """Idempotent."""
        async with self._opening:
            self._is_closed = True
            self._find = None
            await self._stack.aclose()


def _imported() -> (
    "Callable[[StateOptions], AbstractAsyncContextManager[Callable[[str], OwnedState]]]"
):
    from llm_api.core.state.opened import open_state  # noqa: PLC0415

    return open_state
