"""A backend whose requests are counted, so that idle work gives way to them."""

from collections.abc import AsyncGenerator
from contextlib import aclosing, nullcontext

from llm_api.core.llm.backend import Backend, BorrowingBackend
from llm_api.core.llm.types import Event, GenerationRequest
from llm_api.core.utils.traffic import Traffic


class CountedBackend(BorrowingBackend):
    """A borrowed backend. Requests of idle work are not counted."""

    def __init__(self, backend: Backend, traffic: Traffic) -> None:
        super().__init__(backend)
        self._traffic = traffic

    async def generate(self, request: GenerationRequest) -> AsyncGenerator[Event, None]:
        """As `Backend.generate`."""
        passing = nullcontext() if request.context.is_idle else self._traffic.passing()
        with passing:
            async with aclosing(self._backend.generate(request)) as events:
                async for event in events:
                    yield event
