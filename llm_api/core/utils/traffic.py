"""What runs now, so that work for idle time gives way to it. Belongs to one event loop."""

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, Final, TypeVar

Result = TypeVar("Result")

REST_SECONDS: Final = 1.0
"""Nothing else has run for so long before idle work begins: clients often ask again at once."""


class Traffic:
    """Counts the requests that wait or run in this process."""

    def __init__(self, rest_seconds: float = REST_SECONDS) -> None:
        self._rest_seconds = rest_seconds
        self._running = 0
        self._quiet, self._busy = asyncio.Event(), asyncio.Event()
        self._quiet.set()

    @contextmanager
    def passing(self) -> Iterator[None]:
        """A request is there inside."""
        self._running += 1
        self._quiet.clear()
        self._busy.set()
        try:
            yield
        finally:
            self._running -= 1
            if not self._running:
                self._busy.clear()
                self._quiet.set()

    async def quietly(self, work: Callable[[], Coroutine[Any, Any, Result]]) -> Result:
        """The result of `work`, done while nothing else runs.

        A request that comes cancels it; it begins anew when all is quiet again. Raises what it
        raises.
        """
        while True:
            await self._rested()
            doing = asyncio.create_task(work())
            disturbed = asyncio.create_task(self._busy.wait())
            try:
                await asyncio.wait({doing, disturbed}, return_when=asyncio.FIRST_COMPLETED)
                if doing.done():
                    return doing.result()
            finally:
                doing.cancel()
                disturbed.cancel()
                await asyncio.wait({doing, disturbed})

    async def _rested(self) -> None:
        while True:
            await self._quiet.wait()
            try:
                async with asyncio.timeout(self._rest_seconds):
                    await self._busy.wait()
            except TimeoutError:
                return
