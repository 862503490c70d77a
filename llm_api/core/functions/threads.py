"""Threads for functions that block: one for each call, and never more than so many."""

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from contextvars import copy_context
from functools import partial
from typing import Any, TypeVar

from llm_api.core.errors import FunctionsBusyError

Result = TypeVar("Result")

MAX_THREADS = 16


class FunctionThreads:
    """Runs blocking work for the event loop, at most `limit` pieces of it at a time.

    A thread cannot be stopped from outside: work that nobody waits for any more keeps its place
    until it ends, and once all places are held so, further work is refused. The threads are
    daemons, so none of them keeps the process alive.

    Belongs to one event loop, on which all of its state changes.
    """

    def __init__(self, limit: int = MAX_THREADS) -> None:
        self._limit = limit
        self._free = asyncio.Semaphore(limit)
        self._running: set[asyncio.Future[Any]] = set()

    async def run(self, work: Callable[[], Result]) -> Result:
        """What `work` returns or raises, run with this task's context variables.

        Waits for a place. To cancel is to abandon the work. Raises FunctionsBusyError where every
        place is held by abandoned work.
        """
        if len(self._running) == self._limit and all(work.cancelled() for work in self._running):
            raise FunctionsBusyError(
                f"All {self._limit} threads for functions are held by calls that timed out or were"
                " given up, and do not end."
            )
        await self._free.acquire()
        return await self._start(work)

    def _start(self, work: Callable[[], Result]) -> asyncio.Future[Result]:
        loop = asyncio.get_running_loop()
        outcome: asyncio.Future[Result] = loop.create_future()

        def in_thread() -> None:
            try:
                settle = partial(outcome.set_result, work())
            except BaseException as error:  # noqa: BLE001 - the border: whoever waits gets it
                settle = partial(outcome.set_exception, _bearable(error))
            with suppress(RuntimeError):  # the loop may have ended meanwhile
                loop.call_soon_threadsafe(self._leave, outcome, settle)

        thread = threading.Thread(target=copy_context().run, args=(in_thread,), daemon=True)
        try:
            thread.start()
        except RuntimeError:
            self._free.release()
            raise
        self._running.add(outcome)
        return outcome

    def _leave(self, outcome: asyncio.Future[Any], settle: Callable[[], None]) -> None:
        self._running.discard(outcome)
        self._free.release()
        if not outcome.cancelled():
            settle()


def _bearable(error: BaseException) -> Exception:
    """What can be raised on the event loop without ending the server, or the coroutine."""
    if isinstance(error, Exception) and not isinstance(error, StopIteration):
        return error
    raised = RuntimeError(f"it raised {type(error).__name__}")
    raised.__cause__ = error
    return raised
