"""How long an answer may take: to its first token, and as a whole."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import aclosing, contextmanager

from llm_api.core.errors import UpstreamError, UpstreamTimeoutError
from llm_api.core.llm.types import Event


async def opening(events: AsyncIterator[Event], seconds: float | None) -> tuple[Event, Event]:
    """The first two events: `Started`, and what it started with.

    Raises UpstreamTimeoutError if they take longer, UpstreamError if there is no second.
    """
    try:
        with _explained("No token came in time; try again."):
            async with asyncio.timeout(seconds):
                return await anext(events), await anext(events)
    except StopAsyncIteration as error:
        raise UpstreamError("The answer ended before it began; try again.") from error


async def within(
    events: AsyncGenerator[Event, None], seconds: float
) -> AsyncGenerator[Event, None]:
    """All events, or UpstreamTimeoutError in their midst. Closing it closes `events`."""
    deadline = asyncio.get_running_loop().time() + seconds
    async with aclosing(events):
        while True:
            # Around each event, because a timeout must not last beyond a yield.
            with _explained("The answer was not complete in time; ask for less, or try again."):
                async with asyncio.timeout_at(deadline):
                    event = await anext(events, None)
            if event is None:
                return
            yield event


@contextmanager
def _explained(message: str) -> Iterator[None]:
    try:
        yield
    except TimeoutError as error:
        raise UpstreamTimeoutError(message) from error
