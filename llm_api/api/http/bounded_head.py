"""Bounds of a request's head and trailers, which the parser would read without end."""

from asyncio import TimerHandle, Transport

from llm_api.api.errors import Failure
from llm_api.api.http.connection import HTTPConnection, ParsingEndedError

MAX_HEAD_BYTES = 64 * 1024
"""Of the request line and all headers together. A cookie or a token of a proxy fits easily."""

_TOO_LARGE = Failure(
    431,
    "invalid_request_error",
    f"The request's headers must not be larger than {MAX_HEAD_BYTES} bytes.",
    "headers_too_large",
)
_TOO_SLOW = Failure(
    408, "invalid_request_error", "The request's headers did not come in time.", "request_timeout"
)


class BoundedHeadProtocol(HTTPConnection):
    """Answers 431 to a head above MAX_HEAD_BYTES, 408 to one that takes too long; then closes.

    All bytes but those of a body are counted after each read, so one connection takes no more
    memory for them than that and two reads (of 256 KiB at most). They are the head, and in a
    chunked body the sizes, the extensions, and the trailers, which nobody is told of.

    The time counts from the connection on, or from what comes after an answer: a connection on
    which nothing is sent is closed as well.
    """

    head_seconds = 20.0

    _is_in_head = False
    _framing_bytes = 0
    _refusal: Failure | None = None
    _head_timer: TimerHandle | None = None

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]
        """Expect the first head."""
        self._start_head_timer()
        super().connection_made(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """Expect nothing any more."""
        self._stop_head_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse it; what is no request yet has to become one in time."""
        super().data_received(data)
        if not self._is_answering:
            self._start_head_timer()

    def on_message_begin(self) -> None:
        """A head begins, somewhere in a read."""
        super().on_message_begin()
        self._is_in_head = True
        self._framing_bytes = 0

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header, unless it comes after the body."""
        if self._is_in_head:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Measure the head exactly, now that it is there."""
        self._is_in_head = False
        self._stop_head_timer()
        size = len(self.url) + sum(len(name) + len(value) for name, value in self.headers)
        if size > MAX_HEAD_BYTES:
            self._refusal = _TOO_LARGE
            raise ParsingEndedError
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Take some of the body."""
        self._framing_bytes = 0
        super().on_body(body)

    def _go_on(self) -> None:
        super()._go_on()
        if self._is_in_head:
            self._start_head_timer()

    def _feed(self, piece: memoryview) -> None:
        self._framing_bytes += 0 if self._body_left else len(piece)
        super()._feed(piece)
        if self._framing_bytes > MAX_HEAD_BYTES and not self._is_whole:
            self._refuse(_TOO_LARGE)

    def _reason(self) -> Failure:
        return super()._reason() if self._refusal is None else self._refusal

    def _start_head_timer(self) -> None:
        if self._head_timer is None:
            self._head_timer = self.loop.call_later(self.head_seconds, self._head_is_late)

    def _stop_head_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _head_is_late(self) -> None:
        self._head_timer = None
        if self._is_in_head:
            self._refuse(_TOO_SLOW)
        else:
            self.transport.close()
