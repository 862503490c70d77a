"""A backend that is still being loaded: its card is known, its answers wait for it."""

import asyncio
from collections.abc import AsyncGenerator, Coroutine
from contextlib import aclosing
from typing import Any

from llm_api.core.errors import LLMAPIError, UnavailableError
from llm_api.core.llm.backend import Backend, ModelCard
from llm_api.core.llm.types import Event, GenerationRequest


class LoadingBackend:
    """Loads once, in the background. A failed load answers every request with its reason."""

    def __init__(self, card: ModelCard, load: Coroutine[Any, Any, Backend]) -> None:
        self._card = card
        self._load = asyncio.create_task(load)

    @property
    def card(self) -> ModelCard:
        return self._card

    @property
    def is_ready(self) -> bool:
        return self._load.done() and not self._load.cancelled() and not self._load.exception()

    async def wait(self) -> Backend:
        """The loaded backend. Raises what the load raised, LLMAPIError where it is foreseen."""
        return await asyncio.shield(self._load)

    async def generate(self, request: GenerationRequest) -> AsyncGenerator[Event, None]:
        try:
            backend = await self.wait()
        except LLMAPIError as error:
            raise UnavailableError(f"The model could not be loaded: {error}") from error
        async with aclosing(backend.generate(request)) as events:
            async for event in events:
                yield event

    async def aclose(self) -> None:
        """Waits for a load under way: llama.cpp cannot be stopped in the middle of one."""
        results = await asyncio.gather(self._load, return_exceptions=True)
        if not isinstance(results[0], BaseException):
            await results[0].aclose()
