"""Threads for functions that block: one for each call, and never more than so many."""

from collections.abc import Callable
from typing import TypeVar

from llm_api.core.errors import FunctionsBusyError
from llm_api.core.utils.work_threads import WorkThreads

Result = TypeVar("Result")

MAX_THREADS = 16


class FunctionThreads:
    """Runs blocking functions for the event loop, at most `limit` of them at a time.

    Once all places are held by calls that do not end, further work is refused.
    """

    def __init__(self, limit: int = MAX_THREADS) -> None:
        self._limit = limit
        self._threads = WorkThreads(limit)

    async def run(self, work: Callable[[], Result]) -> Result:
        """What `work` returns or raises, run with this task's context variables.

        Waits for a place. To cancel is to abandon the work. Raises FunctionsBusyError where every
        place is held by abandoned work.
        """
        if self._threads.is_stuck:
            raise FunctionsBusyError(
                f"All {self._limit} threads for functions are held by calls that timed out or were"
                " given up, and do not end."
            )
        return await self._threads.run(work)
