"""Keeps the seal of a collection's folder: broken before a write, renewed when writing rests."""

import asyncio
import time
from pathlib import Path

from llm_api.core.rag.stores.seal import seal, sums, unseal

REST_SECONDS = 2.0
"""How long nothing must have been written, at least."""

_SHARE = 20
"""How many times longer than the last sums took: reading a large store is not to be all it does."""


class Sealing:
    """The seal of `folder`, whose writers hold `writing`. Begins without one."""

    def __init__(self, folder: Path, writing: asyncio.Lock) -> None:
        self.folder = folder
        self._writing = writing
        self._writes = 0
        self._sums_seconds = 0.0
        self._task: asyncio.Task[None] | None = None
        self.is_sealed = False

    def before_write(self) -> None:
        """A writer calls this first, with `writing` held."""
        self._writes += 1
        if self.is_sealed:
            unseal(self.folder)
            self.is_sealed = False

    def soon(self) -> None:
        """Seal the folder once nothing is written any more."""
        if self._task is None and not self.is_sealed:
            self._task = asyncio.create_task(self._seal())

    async def stop(self) -> None:
        """Idempotent. A seal that is there stays."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def seal_now(self, deadline: float) -> None:
        """Seal a folder that nobody has open, if its sums are there by `deadline`. Blocks."""
        if not self.is_sealed and time.monotonic() < deadline:
            try:
                seal(self.folder, sums(self.folder, deadline))
            except TimeoutError:
                return
            self.is_sealed = True

    async def _seal(self) -> None:
        try:
            while not self.is_sealed:
                writes = self._writes
                await asyncio.sleep(max(REST_SECONDS, _SHARE * self._sums_seconds))
                if writes == self._writes:
                    await self._seal_unless_written(writes)
        finally:
            self._task = None

    async def _seal_unless_written(self, writes: int) -> None:
        began = time.monotonic()
        try:
            found = await asyncio.to_thread(sums, self.folder)
        except FileNotFoundError:  # the index was built meanwhile, in another folder
            return
        self._sums_seconds = time.monotonic() - began
        async with self._writing:
            if writes == self._writes:
                seal(self.folder, found)
                self.is_sealed = True
