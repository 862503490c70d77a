"""Responses that are made while nobody waits: they outlive their connection, not their server.

Every event is stored before anybody sees it, so that a stream can be taken up anywhere. The last
events are stored together with the end, so that no stream says more than the store.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager, suppress
from typing import Final, TypeVar, cast

from fastapi import FastAPI

from llm_api.api.answers import failure_in_mid_stream, noted_events
from llm_api.api.draining import Draining, TimeIsUpError
from llm_api.api.models.responses.stream_events import ResponseEvent
from llm_api.api.request_facts import facts_of
from llm_api.api.responding.foreground import STOPPING, Responding, error_code
from llm_api.api.responding.keeping import Keeping
from llm_api.core.errors import OverloadedError, StateUnavailableError
from llm_api.core.llm.collect import cut_short
from llm_api.core.llm.types import Finished, Started
from llm_api.core.utils.long_work import to_the_end

log = logging.getLogger(__name__)

MAX_PER_KEY: Final = 16
RETRY_SECONDS: Final = 5.0
WRITE_SECONDS: Final = 0.01
"""Pause between two writes of one response's events: what comes meanwhile is stored together."""
OUTAGE_SECONDS: Final = 60
"""How long a database may be away before what was being made is given up."""

Done = TypeVar("Done")


class BackgroundResponses:
    """Holds the responses that this process makes; at most MAX_PER_KEY of one key."""

    def __init__(self, draining: Draining) -> None:
        self._draining = draining
        self._tasks: set[asyncio.Task[None]] = set()
        self._running: Counter[str] = Counter()

    @asynccontextmanager
    async def serving(self) -> AsyncGenerator[None, None]:
        """They run within this block; what has not ended with it is failed."""
        try:
            yield
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    async def start(self, responding: Responding, keeping: Keeping, owner: str) -> None:
        """Store the response as queued, and make it.

        Raises OverloadedError, and what the store does.
        """
        if self._running[owner] >= MAX_PER_KEY:
            raise OverloadedError(
                f"{MAX_PER_KEY} responses of this key run in the background; wait for one.",
                retry_after_seconds=RETRY_SECONDS,
            )
        self._running[owner] += 1
        try:
            await keeping.begin()
        except BaseException:
            self._running[owner] -= 1
            raise
        facts_of(responding.request.scope).is_handed_over = True
        task = asyncio.create_task(self._run(responding, keeping), name=keeping.id)
        self._tasks.add(task)

        def over(ended: asyncio.Task[None]) -> None:
            self._tasks.discard(ended)
            self._running[owner] -= 1

        task.add_done_callback(over)

    async def _run(self, responding: Responding, keeping: Keeping) -> None:
        try:
            with suppress(TimeIsUpError):
                async with self._draining.request():
                    await _Run(responding, keeping).run()
        except Exception:
            log.exception("a response in the background failed: %s", keeping.id)
        finally:
            facts_of(responding.request.scope).report()


def background_of(app: FastAPI) -> BackgroundResponses:
    """What this application makes in the background."""
    return cast(BackgroundResponses, app.state.background)


class _Run:
    """One response while it is made: a task makes it, one stores its events, one hears of a cancel.

    Whichever ends first ends the others. `_is_over` once the last events are there, which are
    stored with the end.
    """

    def __init__(self, responding: Responding, keeping: Keeping) -> None:
        self._responding = responding
        self._keeping = keeping
        self._fold = responding.fold
        self._is_over = False
        self._has_events = asyncio.Event()

    async def run(self) -> None:
        """Make it until it ends or is cancelled, and store how it ended."""
        store, id = self._keeping.store, self._keeping.id
        writing = asyncio.create_task(self._write())
        others = (
            asyncio.create_task(self._make()),
            asyncio.create_task(_insistently(lambda: store.cancel_requested(id))),
        )
        try:
            await asyncio.wait((writing, *others), return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            if not self._is_over:
                self._end(self._fold.fail("server_error", STOPPING))
            raise
        finally:
            for task in others:
                task.cancel()
            await to_the_end(self._finish(writing, others))

    async def _finish(
        self, writing: asyncio.Task[None], others: tuple[asyncio.Task[None], ...]
    ) -> None:
        await asyncio.gather(*others, return_exceptions=True)
        if not self._is_over:
            self._end(self._fold.cancel())
        await asyncio.gather(writing, return_exceptions=True)
        await _insistently(self._keeping.finish)

    async def _make(self) -> None:
        """Fold the engine's events, up to the last one."""
        self._note(self._fold.opening())
        responding = self._responding
        try:
            async with aclosing(noted_events(responding.request, responding.generation)) as events:
                async for choice_event in events:
                    event = choice_event.event
                    made = self._fold.take(event)
                    if isinstance(event, Finished):
                        self._end(made)
                        return
                    if isinstance(event, Started):
                        made += self._fold.beginning()
                        await _insistently(self._keeping.start)
                    self._note(made)
            raise cut_short()
        except Exception as error:  # noqa: BLE001 - the border: it is told in the response
            failure = failure_in_mid_stream(responding.request, error)
            self._end(self._fold.fail(error_code(error), failure.message))

    def _note(self, events: list[ResponseEvent]) -> None:
        self._keeping.note(events)
        self._has_events.set()

    def _end(self, events: list[ResponseEvent]) -> None:
        """Note the last events, once."""
        self._is_over = True
        self._note(events)

    async def _write(self) -> None:
        """Store events as they come, those together that came while others were written.

        Ends before the last events, or when the response is gone.
        """
        while True:
            await self._has_events.wait()
            self._has_events.clear()
            if self._is_over or not await _insistently(self._keeping.append):
                return
            await asyncio.sleep(WRITE_SECONDS)


async def _insistently(work: Callable[[], Awaitable[Done]]) -> Done:
    """What `work` gives, tried again while the database is away. Raises StateUnavailableError."""
    for _ in range(OUTAGE_SECONDS):
        with suppress(StateUnavailableError):
            return await work()
        await asyncio.sleep(1)
    return await work()
