"""A task beside a server that takes one turn of its work after another, whatever a turn raises."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Final

from llm_api.core.errors import LLMAPIError

log = logging.getLogger(__name__)

CLOSE_SECONDS: Final = 2.0
"""How long a write under way may take at the end: the store, closed next, ends it then."""

RETRY_SECONDS: Final = 3.0


@asynccontextmanager
async def looping(turn: Callable[[], Awaitable[None]], what: str) -> AsyncGenerator[None, None]:
    """Turns are taken inside; the one under way at the end is cancelled. `what` is their name.

    After a turn that has failed there is a pause.
    """
    turns = asyncio.create_task(_turns(turn, what), name=what)
    try:
        yield
    finally:
        turns.cancel()
        done, _ = await asyncio.wait([turns], timeout=CLOSE_SECONDS)
        if not done:
            log.warning("%s: a write did not end in time: it is left to the store", what)


async def _turns(turn: Callable[[], Awaitable[None]], what: str) -> None:
    while True:
        try:
            await turn()
        except LLMAPIError as error:
            log.debug("%s: not now: %s", what, error.message)
            await asyncio.sleep(RETRY_SECONDS)
        except Exception:
            # The border of the task: what waits must not wait for ever.
            log.exception("%s: a turn failed", what)
            await asyncio.sleep(RETRY_SECONDS)
