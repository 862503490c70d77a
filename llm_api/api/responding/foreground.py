"""A response that its client waits for, whole or streamed, by one fold of its events.

A stream ends in `response.completed`, `response.incomplete` or `response.failed`. A generation
ends with its client; of a stored stream, what was written by then is kept as `cancelled`.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass

import anyio
from fastapi import Request, Response

from llm_api.api.answers import Generation, failure_in_mid_stream, noted_events, started
from llm_api.api.disconnect import until_disconnect
from llm_api.api.draining import draining_of
from llm_api.api.mapping.responses.fold import ResponseFold
from llm_api.api.models.responses.response import ErrorCode
from llm_api.api.models.responses.stream_events import ResponseEvent
from llm_api.api.origin import origin, unenforced
from llm_api.api.responding.keeping import Keeping
from llm_api.api.sse import EventStream, frame
from llm_api.core.errors import InvalidRequestError, LLMAPIError, RateLimitedError
from llm_api.core.llm.choices import ChoiceEvent
from llm_api.core.llm.collect import cut_short
from llm_api.core.llm.progress import Progress
from llm_api.core.llm.types import Finished, Started

STOPPING = "The server is stopping; try again."


@dataclass(frozen=True, slots=True)
class Responding:
    """One answer on its way. `headers` are what is told of it beside who gave it.

    Without `keeping` nothing of it is stored.
    """

    request: Request
    generation: Generation
    fold: ResponseFold
    headers: Mapping[str, str]
    keeping: Keeping | None = None

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
        """Fold and store all of it; the headers that tell who answered, and what is not held to."""
        card = self.generation.backend.card
        headers = dict(self.headers)
        is_finished = False
        self.fold.absorb_opening()
        async with aclosing(noted_events(self.request, self.generation)) as events:
            async for choice_event in events:
                event = choice_event.event
                self.fold.absorb(event)
                if isinstance(event, Started):
                    headers |= origin(card, [event.served_by]).headers
                elif isinstance(event, Finished):
                    headers |= unenforced(event.unenforced)
                    is_finished = True
        if not is_finished:
            raise cut_short()
        if self.keeping is not None:
            await self.keeping.save()
        return headers

    async def _streamed(self) -> Response:
        early, events, by = await started(self.request, self.generation)
        try:
            made = [made for one in early for made in self.fold.take(one.event)]
            if self.keeping is not None:
                await self.keeping.begin()
        except BaseException:
            await events.aclose()
            raise
        return EventStream(
            self.generation.told(self._frames(made, events), self._progress_frame),
            events,
            self.request.app.state.ping_seconds,
            {**by.headers, **self.headers},
        )

    async def _frames(
        self, made: Sequence[ResponseEvent], events: AsyncIterator[ChoiceEvent]
    ) -> AsyncGenerator[bytes, None]:
        """The frames of the whole stream. The last one is sent when all of it is stored."""
        has_ended = False
        try:
            yield self._written([*self.fold.opening(), *made])
            async for choice_event in events:
                frames = self._written(self.fold.take(choice_event.event))
                if isinstance(choice_event.event, Finished):
                    has_ended = True
                    await self._finish()
                if frames:
                    yield frames
            if not has_ended:
                raise cut_short()
        except Exception as error:  # noqa: BLE001 - the border: the client must not take the cut for the end
            failure = failure_in_mid_stream(self.request, error)
            frames = self._written(self.fold.fail(error_code(error), failure.message))
            has_ended = True
            with suppress(LLMAPIError):  # that of the store, which cannot be told any more
                await self._finish()
            yield frames
        finally:
            if not has_ended:
                with anyio.CancelScope(shield=True):
                    await self._give_up()

    def _progress_frame(self, progress: Progress) -> bytes:
        return frame(self.fold.progress(progress))

    async def _give_up(self) -> None:
        """The client has left, or the server stops."""
        if draining_of(self.request.app).has_begun:
            self._written(self.fold.fail("server_error", STOPPING))
        else:
            self._written(self.fold.cancel())
        await self._finish()

    async def _finish(self) -> None:
        if self.keeping is not None:
            await self.keeping.finish()

    def _written(self, events: Sequence[ResponseEvent]) -> bytes:
        if self.keeping is None:
            return b"".join(map(frame, events))
        return self.keeping.note(events)


def error_code(error: Exception) -> ErrorCode:
    """The code by which clients know an answer's failure. Pure."""
    if isinstance(error, RateLimitedError):
        return "rate_limit_exceeded"
    return "invalid_prompt" if isinstance(error, InvalidRequestError) else "server_error"
