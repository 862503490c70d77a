"""A backend that is in memory only while it is asked for: its card is always known."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

from llm_api.core.llm.backend import ModelCard
from llm_api.core.llm.residency.keeper import ModelKeeper
from llm_api.core.llm.types import Event, GenerationRequest


class OnDemandBackend:
    """Borrows its model for every request. The keeper owns the model, and closes it."""

    def __init__(self, model_id: str, keeper: ModelKeeper) -> None:
        self._id = model_id
        self._keeper = keeper

    @property
    def card(self) -> ModelCard:
        return self._keeper.card(self._id)

    async def generate(self, request: GenerationRequest) -> AsyncGenerator[Event, None]:
        async with (
            self._keeper.borrow(self._id) as backend,
            aclosing(backend.generate(request)) as events,
        ):
            async for event in events:
                yield event

    async def count_tokens(self, texts: Sequence[str]) -> list[int]:
        async with self._keeper.borrow(self._id) as backend:
            return await backend.count_tokens(texts)
