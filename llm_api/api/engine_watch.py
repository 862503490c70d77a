"""The stream of what the engines do: a snapshot twice a second, for a few who watch.

Nothing is gathered while nobody does, and once for all of them where several do.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable
from typing import Final, cast

from fastapi import FastAPI
from starlette.types import Receive, Scope, Send

from llm_api.api.draining import Draining
from llm_api.api.models.live import EngineSnapshot
from llm_api.api.sse import DONE_FRAME, EventStream, frame
from llm_api.core.errors import OverloadedError

EVERY_SECONDS: Final = 0.5
MAX_WATCHERS: Final = 8
RETRY_SECONDS: Final = 10.0


class EngineWatch:
    """Who watches the engines of one application, and what was seen last."""

    def __init__(self, draining: Draining, every_seconds: float = EVERY_SECONDS) -> None:
        self._draining = draining
        self._every_seconds = every_seconds
        self._watchers = 0
        self._seen = b""
        self._seen_at = 0.0

    def stream(
        self, gather: Callable[[], EngineSnapshot], snapshots: int | None, ping_seconds: float
    ) -> "WatchStream":
        """So many snapshots, or one after another until the client leaves or the server ends.

        Raises OverloadedError where enough watch already.
        """
        if self._watchers >= MAX_WATCHERS:
            raise OverloadedError(
                f"{MAX_WATCHERS} watch the engine already; try again when one has left.",
                retry_after_seconds=RETRY_SECONDS,
            )
        return WatchStream(self, self._frames(gather, snapshots), ping_seconds)

    def enter(self) -> None:
        self._watchers += 1

    def leave(self) -> None:
        self._watchers -= 1

    async def _frames(
        self, gather: Callable[[], EngineSnapshot], snapshots: int | None
    ) -> AsyncGenerator[bytes, None]:
        sent = 0
        while not self._draining.has_begun:
            yield self._snapshot(gather)
            sent += 1
            if sent == snapshots:
                break
            await asyncio.sleep(self._every_seconds)
        yield DONE_FRAME

    def _snapshot(self, gather: Callable[[], EngineSnapshot]) -> bytes:
        """The same for those who ask within half a pause."""
        now = time.monotonic()
        if now - self._seen_at > self._every_seconds / 2:
            self._seen, self._seen_at = frame(gather()), now
        return self._seen


class WatchStream(EventStream):
    """Counts its watcher for as long as it is sent."""

    def __init__(
        self, watch: EngineWatch, frames: AsyncGenerator[bytes, None], ping_seconds: float
    ) -> None:
        super().__init__(frames, frames, ping_seconds)
        self._watch = watch

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the stream."""
        self._watch.enter()
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._watch.leave()


def engine_watch_of(app: FastAPI) -> EngineWatch:
    """Who watches the engines of this application."""
    return cast(EngineWatch, app.state.engine_watch)
