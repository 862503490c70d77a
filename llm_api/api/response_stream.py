"""From a generation to a response of `/v1/responses`, whole or streamed, by one fold of its events.

A stream ends in `response.completed`, `response.incomplete` or `response.failed`.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass

from fastapi import Request, Response

from llm_api.api.answers import Generation, failure_in_mid_stream, noted_events, started
from llm_api.api.disconnect import until_disconnect
from llm_api.api.mapping.responses.fold import ResponseFold
from llm_api.api.models.responses.response import ErrorCode
from llm_api.api.models.responses.stream_events import ResponseEvent
from llm_api.api.origin import origin, unenforced
from llm_api.api.sse import EventStream, frame
from llm_api.core.errors import InvalidRequestError, RateLimitedError
from llm_api.core.llm.choices import ChoiceEvent
from llm_api.core.llm.collect import cut_short
from llm_api.core.llm.types import Finished, Started


@dataclass(frozen=True, slots=True)
class Responding:
    """One answer on its way. `headers` are what is told of it beside who gave it."""

    request: Request
    generation: Generation
    fold: ResponseFold
    headers: Mapping[str, str]

    async def answer(self) -> Response:
        """The HTTP answer. Raises what the backend refuses, before the first header of a stream.

        Aborts the generation when the client disconnects.
        """
        if not self.generation.context.is_whole:
            return await self._streamed()
        headers = await until_disconnect(self.request, self._whole())
        body = self.fold.response.to_json()
        return Response(body, headers=headers, media_type="application/json")

    async def _whole(self) -> Mapping[str, str]:
        """Fold all of it; the headers that tell who answered, and what it does not hold to."""
        card = self.generation.backend.card
        headers = dict(self.headers)
        is_finished = False
        async with aclosing(noted_events(self.request, self.generation)) as events:
            async for choice_event in events:
                event = choice_event.event
                self.fold.take(event)
                if isinstance(event, Started):
                    headers |= origin(card, [event.served_by]).headers
                elif isinstance(event, Finished):
                    headers |= unenforced(event.unenforced)
                    is_finished = True
        if not is_finished:
            raise cut_short()
        return headers

    async def _streamed(self) -> Response:
        early, events, by = await started(self.request, self.generation)
        return EventStream(
            self._frames(early, events),
            events,
            self.request.app.state.ping_seconds,
            {**by.headers, **self.headers},
        )

    async def _frames(
        self, early: Sequence[ChoiceEvent], events: AsyncIterator[ChoiceEvent]
    ) -> AsyncGenerator[bytes, None]:
        """The frames of the whole stream, which ends in one of its last events."""
        try:
            made = [made for one in early for made in self.fold.take(one.event)]
            yield _written([*self.fold.opening(), *made])
            is_finished = False
            async for choice_event in events:
                if frames := _written(self.fold.take(choice_event.event)):
                    yield frames
                is_finished = isinstance(choice_event.event, Finished)
            if not is_finished:
                raise cut_short()
        except Exception as error:  # noqa: BLE001 - the border: the client must not take the cut for the end
            failure = failure_in_mid_stream(self.request, error)
            yield _written(self.fold.fail(error_code(error), failure.message))


def error_code(error: Exception) -> ErrorCode:
    """The code by which clients know an answer's failure. Pure."""
    if isinstance(error, RateLimitedError):
        return "rate_limit_exceeded"
    return "invalid_prompt" if isinstance(error, InvalidRequestError) else "server_error"


def _written(events: Iterable[ResponseEvent]) -> bytes:
    return b"".join(map(frame, events))
