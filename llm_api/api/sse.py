"""Server-sent events in OpenAI's dialect. Knows frames and connections, not their content.

A stream ends in one of two ways: `data: [DONE]`, or an error frame and nothing after it.
"""

from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from typing import Any

import anyio
from sse_starlette import EventSourceResponse, ServerSentEvent
from starlette.types import Receive, Scope, Send

from llm_api.api.errors import Failure, error_text
from llm_api.api.models.base import AnswerModel

DONE_FRAME = b"data: [DONE]\n\n"
DEFAULT_PING_SECONDS = 15.0


def frame(model: AnswerModel) -> bytes:
    """One event."""
    return text_frame(model.EVENT, model.to_json())


def text_frame(name: str | None, data: str) -> bytes:
    """One event whose data is this text, which has one line."""
    event = "" if name is None else f"event: {name}\n"
    return f"{event}data: {data}\n\n".encode()


def error_frame(failure: Failure) -> bytes:
    """The event that says the answer was cut short."""
    return text_frame(None, error_text(failure))


class EventStream(EventSourceResponse):
    """Sends frames, with keep-alive comments between them, until their end or the client's.

    `source` is what the frames are made of: it is closed in every case, even if the client left
    before the first frame was asked for.
    """

    media_type = "text/event-stream"

    def __init__(
        self,
        frames: AsyncGenerator[bytes, None],
        source: AsyncGenerator[Any, None],
        ping_seconds: float = DEFAULT_PING_SECONDS,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(
            frames,
            headers={"Cache-Control": "no-cache", "X-Accel-Buffering": "no", **(headers or {})},
            media_type=self.media_type,
            sep="\n",
            ping_message_factory=self.ping,
        )
        self.ping_interval = ping_seconds
        self._frames = frames
        self._source = source
        self.note: Callable[[], str] = lambda: "ping"

    async def _stream_response(self, send: Send) -> None:
        """Send the frames. The library's own, without what it does for other frames than ours.

        Ours are bytes, wait for a slow client without a limit of their own, and are closed in
        `__call__`: so no frame needs a cancel scope, which took a sixth of the time of one.
        """
        start = {"type": "http.response.start", "status": self.status_code}
        await send({**start, "headers": self.raw_headers})
        async for frame in self._frames:
            await send({"type": "http.response.body", "body": frame, "more_body": True})
        async with self._send_lock:
            self.active = False
            await send({"type": "http.response.body", "body": b"", "more_body": False})

    def ping(self) -> ServerSentEvent:
        """What keeps a silent connection open: a comment, which may say why it is silent."""
        return ServerSentEvent(comment=self.note(), sep="\n")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the stream."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            with anyio.CancelScope(shield=True):
                async with aclosing(self._source), aclosing(self._frames):
                    pass
