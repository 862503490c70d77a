"""An embedder that is opened by its first request. Knows nothing of what it opens."""

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine
from typing import Any, Literal, TypeAlias

from llm_api.core.embeddings.embedder import (
    EmbedderCard,
    EmbeddingRequest,
    Embeddings,
    OwnedEmbedder,
    TokenCounter,
)
from llm_api.core.errors import LLMAPIError, UnavailableError, without_folders
from llm_api.core.utils.traffic import Traffic

log = logging.getLogger(__name__)

EmbedderState: TypeAlias = Literal["unloaded", "loading", "loaded", "failed"]

PAUSE_SECONDS = 10.0
"""After a failure, requests are refused at once for so long; then the next one tries again."""


class OnDemandEmbedder:
    """Opened once, by its first request; each is counted. Lives on one event loop."""

    def __init__(
        self,
        card: EmbedderCard,
        open_embedder: Callable[[], Coroutine[Any, Any, OwnedEmbedder]],
        clock: Callable[[], float] = time.monotonic,
        traffic: Traffic | None = None,
    ) -> None:
        self._card = card
        self._open = open_embedder
        self._clock = clock
        self._traffic = traffic or Traffic()
        self._embedder: OwnedEmbedder | None = None
        self._opening: asyncio.Task[OwnedEmbedder] | None = None
        self._failure = ""
        self._failed_at = 0.0
        self._is_closed = False

    @property
    def card(self) -> EmbedderCard:
        """As far as it is known: a model says more of itself once it is open."""
        return self._card if self._embedder is None else self._embedder.card

    @property
    def state(self) -> EmbedderState:
        if self._embedder is not None:
            return "loaded"
        if self._opening is not None:
            return "loading"
        return "failed" if self._failure else "unloaded"

    async def embed(self, request: EmbeddingRequest) -> Embeddings:
        with self._traffic.passing():
            return await (await self._opened()).embed(request)

    async def token_counter(self) -> TokenCounter:
        return await (await self._opened()).token_counter()

    async def aclose(self) -> None:
        """Waits for an opening under way: a model cannot be stopped in it."""
        self._is_closed = True
        if self._opening is not None:
            await asyncio.wait([self._opening])
        if self._embedder is not None:
            await self._embedder.aclose()

    async def _opened(self) -> OwnedEmbedder:
        if self._is_closed:
            raise UnavailableError("The server is stopping.")
        if self._embedder is not None:
            return self._embedder
        if self._opening is None:
            rest = self._failed_at + PAUSE_SECONDS - self._clock()
            if self._failure and rest > 0:
                raise UnavailableError(self._failure, retry_after_seconds=rest)
            self._opening = asyncio.create_task(self._try_to_open(), name="open-embedder")
        # Shielded, because the others who wait share it.
        return await asyncio.shield(self._opening)

    async def _try_to_open(self) -> OwnedEmbedder:
        try:
            self._embedder = await self._open()
        except Exception as error:
            if not isinstance(error, LLMAPIError):
                log.exception("opening %s failed", self._card.id)
            reason = error.message if isinstance(error, LLMAPIError) else "the log says why."
            log.warning("%s could not be loaded: %s", self._card.id, reason)
            self._failure = (
                f"The model `{self._card.id}` could not be loaded: {without_folders(reason)}"
            )
            self._failed_at = self._clock()
            raise UnavailableError(self._failure, retry_after_seconds=PAUSE_SECONDS) from error
        finally:
            self._opening = None
        return self._embedder
