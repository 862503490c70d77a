"""Threads for work that blocks: one for each piece of it, and never more than so many.

Each kind of work has its own threads, so that none can keep another from being done.
"""

import asyncio
import threading
from collections.abc import Awaitable, Callable
from contextlib import suppress
from contextvars import copy_context
from functools import partial
from typing import Any, Final, Protocol, TypeVar
from weakref import WeakValueDictionary

Result = TypeVar("Result")

_STACK_LOCK: Final = threading.Lock()
"""The size of a stack is the process's: held while a thread with another begins."""


class RunOnThread(Protocol):
    """Runs functions on one thread, one at a time: what it opens, it alone computes with."""

    def __call__(self, function: Callable[[], Result], /) -> Awaitable[Result]: ...


class WorkThreads:
    """Runs blocking work for the event loop, at most `limit` pieces of it at a time.

    Of one owner, it is at most `per_owner`. A thread cannot be stopped from outside: work that
    nobody waits for any more keeps its places until it ends. The threads are daemons, so none of
    them keeps the process alive.

    Belongs to one event loop, on which all of its state changes.
    """

    def __init__(self, limit: int, *, per_owner: int | None = None, stack_bytes: int = 0) -> None:
        """`stack_bytes` are reserved for each thread, not taken; 0 is the system's default."""
        self._limit = limit
        self._per_owner = limit if per_owner is None else per_owner
        self._stack_bytes = stack_bytes
        self._free = asyncio.Semaphore(limit)
        # An owner is known as long as somebody holds, or waits for, a place of his.
        self._owners: WeakValueDictionary[str, asyncio.Semaphore] = WeakValueDictionary()
        self._running: set[asyncio.Future[Any]] = set()
        self._is_idle = asyncio.Event()
        self._is_idle.set()

    @property
    def is_stuck(self) -> bool:
        """Whether every place is held by work that nobody waits for any more."""
        return len(self._running) == self._limit and all(work.cancelled() for work in self._running)

    async def run(self, work: Callable[[], Result], owner: str = "") -> Result:
        """What `work` returns or raises, run with this task's context variables.

        Waits for a place. To cancel is to abandon the work.
        """
        outcome = await self.start(work, owner)
        return await outcome

    async def start(self, work: Callable[[], Result], owner: str = "") -> asyncio.Future[Result]:
        """Wait for a place, and begin: the future is of what `work` returns or raises."""
        own = self._owners.setdefault(owner, asyncio.Semaphore(self._per_owner))
        await own.acquire()
        try:
            await self._free.acquire()
        except BaseException:
            own.release()
            raise
        return self._begin(work, own)

    async def aclose(self, seconds: float) -> None:
        """Wait until all work has ended, even what was given up; at most so long.

        Work in Rust must not end while the interpreter does: it would abort the process.
        """
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._is_idle.wait()

    def _begin(self, work: Callable[[], Result], own: asyncio.Semaphore) -> asyncio.Future[Result]:
        loop = asyncio.get_running_loop()
        outcome: asyncio.Future[Result] = loop.create_future()

        def in_thread() -> None:
            try:
                settle = partial(outcome.set_result, work())
            except BaseException as error:  # noqa: BLE001 - the border: the caller gets it
                settle = partial(outcome.set_exception, _bearable(error))
            with suppress(RuntimeError):  # the loop may have ended meanwhile
                loop.call_soon_threadsafe(self._leave, outcome, own, settle)

        thread = threading.Thread(target=copy_context().run, args=(in_thread,), daemon=True)
        try:
            self._start_thread(thread)
        except RuntimeError:
            self._give_back(own)
            raise
        self._running.add(outcome)
        self._is_idle.clear()
        return outcome

    def _start_thread(self, thread: threading.Thread) -> None:
        if not self._stack_bytes:
            thread.start()
            return
        with _STACK_LOCK:
            usual = threading.stack_size(self._stack_bytes)
            try:
                thread.start()
            finally:
                threading.stack_size(usual)

    def _leave(
        self, outcome: asyncio.Future[Any], own: asyncio.Semaphore, settle: Callable[[], None]
    ) -> None:
        self._running.discard(outcome)
        if not self._running:
            self._is_idle.set()
        self._give_back(own)
        if not outcome.cancelled():
            settle()

    def _give_back(self, own: asyncio.Semaphore) -> None:
        own.release()
        self._free.release()


def _bearable(error: BaseException) -> Exception:
    """What can be raised on the event loop without ending the server, or the coroutine."""
    if isinstance(error, Exception) and not isinstance(error, StopIteration):
        return error
    raised = RuntimeError(f"it raised {type(error).__name__}")
    raised.__cause__ = error
    return raised
