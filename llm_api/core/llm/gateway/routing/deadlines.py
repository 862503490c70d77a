"""How long an answer may take: to its first token, and as a whole."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import aclosing, contextmanager
from dataclasses import dataclass

from llm_api.core.errors import UpstreamError, UpstreamTimeoutError
from llm_api.core.llm.types import Event


@dataclass(slots=True)
class Opening:
    """The first two events of an answer: `Started`, and what it started with."""

    events: AsyncIterator[Event]
    deadline: float | None

    async def next(self) -> Event:
        """Raises UpstreamTimeoutError if it comes too late, UpstreamError if there is none."""
        try:
            with _explained("No token came in time; try again."):
                async with asyncio.timeout_at(self.deadline):
                    return await anext(self.events)
        except StopAsyncIteration as error:
            raise UpstreamError("The answer ended before it began; try again.") from error


def opening(events: AsyncIterator[Event], seconds: float | None) -> Opening:
    """Both must have come in so many seconds from now."""
    now = asyncio.get_running_loop().time()
    return Opening(events, None if seconds is None else now + seconds)


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
