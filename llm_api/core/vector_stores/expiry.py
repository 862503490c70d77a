"""Vector stores that nobody has asked for as long as they may live: their documents go.

Only a store with an `expires_after` has such a time; what `/v1/rag` has made has none.
"""

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Final

from llm_api.core.errors import CollectionNotFoundError, LLMAPIError
from llm_api.core.rag.filters import EVERYTHING
from llm_api.core.rag.retrieval import Retrieval
from llm_api.core.state.state import State

log = logging.getLogger(__name__)

SWEEP_SECONDS: Final = 10.0
GONE_SECONDS: Final = 600.0
"""Between two looks for collections that were deleted otherwise."""
YOUNG_SECONDS: Final = 60.0
"""How long the making of a store may take, which is written down before its collection is there."""


@asynccontextmanager
async def expiring_stores(state: State, retrieval: Retrieval) -> AsyncGenerator[None, None]:
    """Vector stores expire inside. `retrieval` is that of the server, with all its searches."""
    sweeping = asyncio.create_task(StoreSweep(state, retrieval).run(), name="store-sweep")
    try:
        yield
    finally:
        sweeping.cancel()
        await asyncio.gather(sweeping, return_exceptions=True)


class StoreSweep:
    def __init__(
        self, state: State, retrieval: Retrieval, now: Callable[[], float] = time.time
    ) -> None:
        self._state = state
        self._retrieval = retrieval
        self._now = now
        self._noted: dict[str, float] = {}

    async def run(self) -> None:
        """For ever."""
        await self._state.used()
        looked_at = -GONE_SECONDS
        while True:
            try:
                await self.sweep()
                if time.monotonic() - looked_at >= GONE_SECONDS:
                    looked_at = time.monotonic()
                    await self.forget_gone()
            except LLMAPIError as error:
                log.debug("vector stores do not expire now: %s", error.message)
            except Exception:
                # The border of the task: the others must not stay for ever.
                log.exception("sweeping the vector stores failed")
            await asyncio.sleep(SWEEP_SECONDS)

    async def sweep(self) -> None:
        """Write down what was searched; have stores expire, and empty them."""
        rows = (await self._state.vector_stores()).stores
        searched = dict(self._retrieval.times.searched)
        await rows.note_activity(
            {id: at for id, at in searched.items() if self._noted.get(id) != at}
        )
        self._noted = searched
        for id in await rows.expire(self._now()):
            with suppress(CollectionNotFoundError):
                count = await self._retrieval.store.delete_matching(id, EVERYTHING)
                log.info("the vector store %s has expired: %d documents are deleted", id, count)
            await rows.emptied(id)

    async def forget_gone(self) -> None:
        """Forget what was said of collections that are no more: another may get such a name."""
        rows = (await self._state.vector_stores()).stores
        for id, facts in (await rows.all()).items():
            if facts.created_at > self._now() - YOUNG_SECONDS:
                continue
            try:
                await self._retrieval.store.describe_collection(id)
            except CollectionNotFoundError:
                await rows.forget(id)
