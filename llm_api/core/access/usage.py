"""What keys use, by day and model: counted in memory, written down in batches. Knows no HTTP.

Counts of the last seconds are lost where the process is killed; they bound nothing. Days are those
of UTC. What an answer took is counted when it ends.
"""

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Final, TypeAlias

from llm_api.core.errors import LLMAPIError
from llm_api.core.state.records import UsageDay, UsageKind
from llm_api.core.state.state import State
from llm_api.core.utils.long_work import to_the_end

log = logging.getLogger(__name__)

WRITE_SECONDS: Final = 10.0
"""How long counts wait in memory: others see them so much later, and a kill loses them."""

_Place: TypeAlias = tuple[date, str, str, UsageKind]


class UsageBook:
    """Belongs to one event loop. No count waits, and what waits is bounded by keys and models."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._waiting: dict[_Place, UsageDay] = {}
        self.has_some = asyncio.Event()

    @property
    def today(self) -> date:
        return datetime.fromtimestamp(self._clock(), UTC).date()

    def count(  # noqa: PLR0913 - what a row has
        self,
        name: str,
        model: str,
        kind: UsageKind,
        *,
        requests: int,
        prompt_tokens: int,
        completion_tokens: int = 0,
        cached_tokens: int = 0,
    ) -> None:
        """Add to what the key of this name has used today."""
        self.add(
            UsageDay(
                *(self.today, name, model, kind),
                *(requests, prompt_tokens, completion_tokens, cached_tokens),
            )
        )

    def add(self, used: UsageDay) -> None:
        """Count it with what waits."""
        place = (used.day, used.owner, used.model, used.kind)
        self._waiting[place] = _sum(self._waiting.get(place), used)
        self.has_some.set()

    def take(self) -> Sequence[UsageDay]:
        """What waits, which waits no more."""
        taken, self._waiting = self._waiting, {}
        self.has_some.clear()
        return [*taken.values()]


class UsageReport:
    """What was used, for who may ask. `book` is None where nothing is counted."""

    def __init__(self, book: UsageBook | None, state: State) -> None:
        self._book = book
        self._state = state
        self._is_away = False

    @property
    def is_counted(self) -> bool:
        return self._book is not None

    async def of(self, name: str, days: int) -> Sequence[UsageDay]:
        """By the key of this name in the last days, today included; the oldest first."""
        if self._book is None:
            return []
        first = self._book.today - timedelta(days - 1)
        return await self.between(first, self._book.today, name)

    async def between(self, first: date, last: date, name: str | None = None) -> Sequence[UsageDay]:
        """By one key, or by all. What other processes wrote is seen, and what this one counted.

        Raises StateUnavailableError, StateError.
        """
        if self._book is None:
            return []
        await self.write_down()
        return await (await self._state.usage()).between(first, last, name)

    async def write_down(self) -> None:
        """Store what waits; where that fails it waits on, and the log says so once."""
        if self._book is not None and (waiting := self._book.take()):
            # To the end: what is stored, and waits on as well, would count twice.
            await to_the_end(self._stored(self._book, waiting))

    async def _stored(self, book: UsageBook, waiting: Sequence[UsageDay]) -> None:
        try:
            await (await self._state.usage()).add(waiting)
        except LLMAPIError as error:
            for used in waiting:
                book.add(used)
            if not self._is_away:
                log.warning("what keys use cannot be written down, and waits: %s", error.message)
            self._is_away = True
        else:
            self._is_away = False

    async def keep(self) -> None:
        """Write down for ever what is counted, in batches. Costs nothing while nothing is."""
        if self._book is None:
            return
        while True:
            await self._book.has_some.wait()
            await asyncio.sleep(WRITE_SECONDS)
            await self.write_down()


@asynccontextmanager
async def keeping_usage(book: UsageBook | None, state: State) -> AsyncGenerator[UsageReport, None]:
    """The report; at the end what waits is written down."""
    report = UsageReport(book, state)
    keeping = asyncio.create_task(report.keep(), name="usage")
    try:
        yield report
    finally:
        keeping.cancel()
        await asyncio.gather(keeping, return_exceptions=True)
        await report.write_down()


def _sum(first: UsageDay | None, second: UsageDay) -> UsageDay:
    if first is None:
        return second
    return replace(
        first,
        requests=first.requests + second.requests,
        prompt_tokens=first.prompt_tokens + second.prompt_tokens,
        completion_tokens=first.completion_tokens + second.completion_tokens,
        cached_tokens=first.cached_tokens + second.cached_tokens,
    )
