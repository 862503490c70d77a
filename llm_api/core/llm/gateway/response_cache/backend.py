"""A backend that gives an answer again where an equal request was answered before.

Exact matches alone, of one caller, with one model, for requests that always have the same answer.
The events are played again, so a streamed answer and a whole one come from the same record.
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace
from typing import Protocol

from llm_api.core.llm.backend import Backend, BorrowingBackend
from llm_api.core.llm.gateway.response_cache.recorded import Recorder, key_of, replayed
from llm_api.core.llm.types import (
    CacheUse,
    Event,
    Finished,
    GenerationRequest,
    Sampling,
    ServedBy,
    Started,
)


class AnswerStore(Protocol):
    """Recorded answers by their key. Never raises: what cannot be reached holds nothing."""

    async def get(self, key: str) -> bytes | None: ...
    async def put(self, key: str, answer: bytes) -> None: ...


class CachingBackend(BorrowingBackend):
    """Borrows its backend and its answers. `version` is the server's.

    Only answers that came to their end are kept, and of these none with a call that breaks its
    schema. Equal requests that run at the same moment are each generated.
    """

    def __init__(self, backend: Backend, answers: AnswerStore, version: str) -> None:
        super().__init__(backend)
        self._answers = answers
        self._version = version

    def generate(self, request: GenerationRequest) -> AsyncGenerator[Event, None]:
        """As `Backend.generate`."""
        if request.context.may_be_cached and _is_deterministic(request.sampling):
            return self._cached(request)
        return self._backend.generate(request)

    async def _cached(self, request: GenerationRequest) -> AsyncGenerator[Event, None]:
        key = await asyncio.to_thread(key_of, request, self.card.id, self._version)
        answer = await self._answers.get(key)
        if answer is None:
            async with aclosing(self._recorded(request, key)) as events:
                async for event in events:
                    yield self._marked(event, "miss")
            return
        for event in replayed(answer):
            yield self._marked(event, "hit")
            await asyncio.sleep(0)  # a long answer lets others in

    async def _recorded(self, request: GenerationRequest, key: str) -> AsyncGenerator[Event, None]:
        recorder = Recorder()
        async with aclosing(self._backend.generate(request)) as events:
            async for event in events:
                recorder.take(event)
                is_worth_it = isinstance(event, Finished) and not event.unenforced
                if is_worth_it and recorder.answer is not None:
                    await self._answers.put(key, recorder.answer)
                yield event

    def _marked(self, event: Event, use: CacheUse) -> Event:
        if not isinstance(event, Started):
            return event
        by = event.served_by or ServedBy(self.card.backend)
        return replace(event, served_by=replace(by, cache=use))


def _is_deterministic(sampling: Sampling) -> bool:
    return sampling.temperature == 0 or sampling.seed is not None
