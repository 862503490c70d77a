"""The stream of a stored response, from any of its events on, made here or elsewhere."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing, suppress
from typing import TYPE_CHECKING

from fastapi import Request

from llm_api.api.answers import failure_in_mid_stream
from llm_api.api.mapping.responses.stored import lost_event
from llm_api.api.models.responses.stream_events import StreamError
from llm_api.api.sse import EventStream, frame, text_frame
from llm_api.core.errors import InvalidRequestError
from llm_api.core.state.records import StoredEvent, StoredResponse

if TYPE_CHECKING:
    from llm_api.core.state.responses import Responses


async def follow(request: Request, store: "Responses", id: str, after: int = -1) -> EventStream:
    """All events after that number, as they are stored, to the last.

    Raises ResponseNotFoundError; InvalidRequestError where its events are not kept.
    """
    response = await store.get(id)
    events = _events(store, id, after)
    first: Sequence[StoredEvent] = ()
    if response.has_ended:  # what cannot be followed is refused before the first header
        first = await anext(events, ())
    frames = _frames(request, first, events, after)
    return EventStream(frames, events, request.app.state.ping_seconds)


async def until_ended(store: "Responses", response: StoredResponse) -> None:
    """Return when the response has ended, or its events are not kept (any more)."""
    after = -1 if response.last_event is None else response.last_event
    with suppress(InvalidRequestError):
        async with aclosing(store.follow(response.id, after)) as batches:
            async for _ in batches:
                pass


async def _events(
    store: "Responses", id: str, after: int
) -> AsyncGenerator[Sequence[StoredEvent], None]:
    async with aclosing(store.follow(id, after)) as batches:
        async for batch in batches:
            yield batch
    response = await store.get(id)
    if response.is_lost:
        last = lost_event(response)
        if last.sequence_number > after:
            yield (last,)


async def _frames(
    request: Request,
    first: Sequence[StoredEvent],
    events: AsyncGenerator[Sequence[StoredEvent], None],
    after: int,
) -> AsyncGenerator[bytes, None]:
    try:
        for batch in [first] if first else ():
            yield _written(batch)
            after = batch[-1].sequence_number
        async for batch in events:
            yield _written(batch)
            after = batch[-1].sequence_number
    except Exception as error:  # noqa: BLE001 - the border: the client must not take the cut for the end
        failure = failure_in_mid_stream(request, error)
        told = StreamError(code=failure.code, message=failure.message, param=None)
        told.number(max(after, 0))  # no event of the response: none is skipped for it
        yield frame(told)


def _written(events: Sequence[StoredEvent]) -> bytes:
    return b"".join(text_frame(_name(one.body), one.body) for one in events)


def _name(body: str) -> str:
    """The type of an event, which stands first in what this server writes."""
    return body.split('"', 4)[3]
