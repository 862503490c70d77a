"""An answer as plain text, sent as it comes."""

from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing

import anyio
from fastapi import Request
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from llm_api.api.answers import failure_in_mid_stream
from llm_api.api.errors import presentable
from llm_api.core.llm.choices import ChoiceEvent
from llm_api.core.llm.collect import cut_short
from llm_api.core.llm.types import Finished, TextDelta


class TextStream(StreamingResponse):
    """Sends the text out of the events of one answer, until its end or the client's; closes them.

    In a text everything is text, so a failure has no form that an answer could not have as well.
    Its line is for people; the sign is that the body never ends: with chunked encoding that is no
    success to any client.
    """

    def __init__(
        self,
        events: AsyncGenerator[ChoiceEvent, None],
        request: Request,
        headers: Mapping[str, str],
    ) -> None:
        super().__init__(
            _texts(events),
            media_type="text/plain",
            headers={
                "Cache-Control": "no-cache",
                "X-Accel-Buffering": "no",
                "X-Content-Type-Options": "nosniff",  # else browsers wait, and guess
                **headers,
            },
        )
        self._events = events
        self._request = request

    async def stream_response(self, send: Send) -> None:
        """Send the head and the text; the end only where the answer is complete."""
        is_complete = True
        await send(
            {
                "type": "http.response.start",
                "status": self.status_code,
                "headers": self.raw_headers,
            }
        )
        try:
            async for text in self.body_iterator:
                await send(_body(str(text)))
        except Exception as error:  # noqa: BLE001 - the border: the client must see the cut
            failure = failure_in_mid_stream(self._request, error)
            is_complete = False
            await send(_body(f"\n\n[error {failure.code}] {presentable(failure.message)}\n"))
        if is_complete:
            await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the stream; whatever ends it, the generation has ended as well."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            with anyio.CancelScope(shield=True):
                async with aclosing(self._events):
                    pass


def _body(text: str) -> dict[str, object]:
    return {"type": "http.response.body", "body": text.encode(), "more_body": True}


async def _texts(events: AsyncIterator[ChoiceEvent]) -> AsyncGenerator[str, None]:
    """Every piece of text. Raises GenerationError where the answer breaks off."""
    is_finished = False
    async for choice_event in events:
        event = choice_event.event
        is_finished = isinstance(event, Finished)
        if isinstance(event, TextDelta) and event.text:
            yield event.text
    if not is_finished:
        raise cut_short()
