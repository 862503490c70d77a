"""Wakes who follows a response when it changes: at once in this process, soon from another.

One query for all that is followed asks the database what other processes have written. It is asked
only while somebody follows.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Generator, Mapping, Set
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Final

from llm_api.core.errors import LLMAPIError

log = logging.getLogger(__name__)

POLL_SECONDS: Final = 0.1
LONGEST_POLL_SECONDS: Final = 2.0
"""Between two attempts while the database does not answer."""


@dataclass(frozen=True, slots=True)
class ResponseProgress:
    """What can change in a response that is being made."""

    status: str
    last_event: int | None
    wants_cancel: bool


@dataclass(eq=False, slots=True)
class Listener:
    """Somebody who waits for news of one response. `progress` is what was seen last.

    With `only_of_cancel`, new events are none.
    """

    id: str
    only_of_cancel: bool = False
    progress: ResponseProgress | None = None
    _changed: asyncio.Event = field(default_factory=asyncio.Event)

    def tell(self) -> None:
        self._changed.set()

    async def changed(self) -> None:
        """Return when there may be something new since the last call."""
        await self._changed.wait()
        self._changed.clear()


Look = Callable[[Set[str]], Awaitable[Mapping[str, ResponseProgress]]]
"""Reads how these responses stand; those that are gone are absent."""


class News:
    """Belongs to one event loop. The opener closes it."""

    def __init__(self, look: Look) -> None:
        self._look = look
        self._listeners: dict[str, set[Listener]] = {}
        self._polling: asyncio.Task[None] | None = None

    def tell(self, id: str, *, has_new_events_only: bool = False) -> None:
        """Say that this process has changed the response."""
        for listener in self._listeners.get(id, ()):
            if not (has_new_events_only and listener.only_of_cancel):
                listener.tell()

    @contextmanager
    def listen(self, id: str, *, only_of_cancel: bool = False) -> Generator[Listener, None, None]:
        """Hears of every change from now on."""
        listener = Listener(id, only_of_cancel)
        self._listeners.setdefault(id, set()).add(listener)
        if self._polling is None or self._polling.done():
            self._polling = asyncio.create_task(self._poll(), name="state-news")
        try:
            yield listener
        finally:
            self._listeners[id].discard(listener)
            if not self._listeners[id]:
                del self._listeners[id]

    async def aclose(self) -> None:
        if self._polling is not None:
            self._polling.cancel()
            await asyncio.gather(self._polling, return_exceptions=True)

    async def _poll(self) -> None:
        """Until nobody listens."""
        seconds = POLL_SECONDS
        while self._listeners:
            await asyncio.sleep(seconds)
            try:
                found = await self._look(self._listeners.keys())
            except LLMAPIError as error:
                log.debug("no news: %s", error.message)
                seconds = min(2 * seconds, LONGEST_POLL_SECONDS)
                continue
            seconds = POLL_SECONDS
            self._spread(found)

    def _spread(self, found: Mapping[str, ResponseProgress]) -> None:
        for id, listeners in self._listeners.items():
            for listener in listeners:
                last, listener.progress = listener.progress, found.get(id)
                if _is_news(last, listener.progress, listener.only_of_cancel):
                    listener.tell()


def _is_news(
    last: ResponseProgress | None, now: ResponseProgress | None, only_of_cancel: bool
) -> bool:
    if only_of_cancel and last is not None and now is not None:
        last = replace(last, last_event=now.last_event)
    return last != now
