"""Several answers at once: one stream of indexed events out of one request per choice."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass

from llm_api.core.llm.backend import Backend
from llm_api.core.llm.types import Event, GenerationRequest


@dataclass(frozen=True, slots=True)
class ChoiceEvent:
    """An event of the choice with this index."""

    index: int
    event: Event


async def fan_out(
    backend: Backend, requests: Sequence[GenerationRequest]
) -> AsyncGenerator[ChoiceEvent, None]:
    """Run all requests together and merge their events as they come.

    The first failure ends all of them and is raised. Closing the generator aborts all.
    """
    if len(requests) == 1:
        async with aclosing(backend.generate(requests[0])) as events:
            async for event in events:
                yield ChoiceEvent(0, event)
        return

    merged: asyncio.Queue[ChoiceEvent | Exception | None] = asyncio.Queue()
    tasks = [
        asyncio.create_task(_pump(backend, request, index, merged))
        for index, request in enumerate(requests)
    ]
    try:
        running = len(tasks)
        while running:
            match await merged.get():
                case None:
                    running -= 1
                case Exception() as error:
                    raise error
                case ChoiceEvent() as choice_event:
                    yield choice_event
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _pump(
    backend: Backend,
    request: GenerationRequest,
    index: int,
    merged: asyncio.Queue[ChoiceEvent | Exception | None],
) -> None:
    try:
        async with aclosing(backend.generate(request)) as events:
            async for event in events:
                merged.put_nowait(ChoiceEvent(index, event))
        merged.put_nowait(None)
    except Exception as error:  # noqa: BLE001 - handed on whole: the consumer raises it
        merged.put_nowait(error)
