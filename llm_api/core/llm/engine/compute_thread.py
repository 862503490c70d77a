"""The one thread that computes, whatever is computed: the steps of every engine, in turn.

OpenMP gives every thread that computes a team of its own, and lets all of them spin less once the
teams have more threads than the machine has cores. A second team slows the first, even if it has
nothing to do: with two resident models on two threads a token takes nearly twice as long.

Knows nothing of what is computed.
"""

import asyncio
import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from queue import SimpleQueue
from typing import TypeVar

from llm_api.core.errors import UnavailableError

log = logging.getLogger(__name__)

T = TypeVar("T")

STUCK_SECONDS = 30.0
"""No call takes so long: a step of the largest model, or the room for its context, takes a few."""

CLOSING_SECONDS = 2.0
"""How long the end waits for a call that does not end. The thread dies with the process."""


class ComputeThread:
    """Does calls in the order they come. Starts with the first; close it last.

    A call is short, as the others wait. A caller with more to do posts the next part when one is
    done, behind what the others have posted: so they take turns.
    """

    def __init__(
        self,
        *,
        clock: Callable[[], float] = time.monotonic,
        closing_seconds: float = CLOSING_SECONDS,
    ) -> None:
        self._clock = clock
        self._closing_seconds = closing_seconds
        self._busy_since: float | None = None  # the thread's
        self._calls: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._serve, name="compute", daemon=True)
        self._is_closed = False
        # Of turns and of functions that are to be run; each has one writer.
        self._turns = 0  # the thread
        self._asked = 0  # the event loop
        self._done = 0  # the thread

    def post(self, call: Callable[[], None]) -> None:
        """Have it done soon. Does not block; what `call` raises is logged. Thread-safe.

        Once the thread is closed, nothing is done any more.
        """
        if self._is_closed:
            return
        if self._thread.ident is None:
            self._thread.start()
        self._calls.put(call)

    def post_turn(self, call: Callable[[], None]) -> None:
        """As `post`, for work worth shortening the turns of others for. On the thread alone."""
        self._turns += 1
        self.post(partial(self._take_turn, call))

    @property
    def is_awaited(self) -> bool:
        """Whether somebody waits for the call that is being done. On the thread alone."""
        return self._turns > 0 or self._asked > self._done

    @property
    def is_stuck(self) -> bool:
        """Whether one call keeps all others waiting that should have ended long ago."""
        since = self._busy_since
        return since is not None and self._clock() - since > STUCK_SECONDS

    def _take_turn(self, call: Callable[[], None]) -> None:
        self._turns -= 1
        call()

    async def run(self, function: Callable[[], T]) -> T:
        """Return what `function` returns on the thread, or raise what it raises.

        It is called even if the caller is cancelled before. Raises UnavailableError once the
        thread is closed.
        """
        if self._is_closed:
            raise UnavailableError("The server is stopping.")
        future: Future[T] = Future()
        future.set_running_or_notify_cancel()  # no cancellation reaches it from here on
        self._asked += 1
        self.post(partial(self._fulfil, future, function))
        return await asyncio.wrap_future(future)

    async def aclose(self) -> None:
        """End the thread once it has done what was posted before. Idempotent.

        A call that does not end is left to the end of the process.
        """
        self._is_closed = True
        if self._thread.ident is None:
            return
        self._calls.put(None)
        await asyncio.to_thread(self._thread.join, self._closing_seconds)
        if self._thread.is_alive():
            log.error("the compute thread does not end: a call on it has taken too long")

    def _serve(self) -> None:
        while (call := self._calls.get()) is not None:
            self._busy_since = self._clock()
            try:
                call()
            except Exception:
                log.exception("a call on the compute thread failed")
            self._busy_since = None

    def _fulfil(self, future: Future[T], function: Callable[[], T]) -> None:
        try:
            result = function()
        except BaseException as error:  # noqa: BLE001 - handed on whole: `run` raises it
            future.set_exception(error)
        else:
            future.set_result(result)
        finally:
            self._done += 1
