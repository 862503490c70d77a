"""uvicorn's HTTP over httptools, whose parser by itself would read a request's head without end."""

from asyncio import TimerHandle, Transport
from http import HTTPStatus

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from llm_api.api.errors import Failure

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


class _HeadTooLargeError(Exception):
    """Ends the parsing of a head."""


class BoundedHeadProtocol(HttpToolsProtocol):
    """Answers 431 to a head above MAX_HEAD_BYTES, 408 to one that takes too long; then closes.

    A head that does not end is looked at after each read, so one connection takes no more memory
    for it than that and two reads (of 256 KiB at most). The time counts from the connection on, or
    from what comes after an answer: whoever connects and says nothing is let go as well.
    """

    head_seconds = 20.0

    _is_in_head = False
    _head_bytes = 0
    _refusal: Failure | None = None
    _head_timer: TimerHandle | None = None

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]
        """Expect the first head."""
        super().connection_made(transport)
        self._start_head_timer()

    def connection_lost(self, exc: Exception | None) -> None:
        """Expect nothing any more."""
        self._stop_head_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Count what continues a head, and parse it."""
        if self._is_in_head:
            self._head_bytes += len(data)
        super().data_received(data)
        if self._is_in_head and self._head_bytes > MAX_HEAD_BYTES:
            self._is_in_head = False
            self._refuse(_TOO_LARGE)
        elif self._head_timer is None and (self._is_in_head or not self._is_answering):
            self._start_head_timer()

    def on_message_begin(self) -> None:
        """A head begins, somewhere in a read."""
        self._is_in_head = True
        self._head_bytes = 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Measure the head exactly, now that it is there."""
        self._is_in_head = False
        self._stop_head_timer()
        size = len(self.url) + sum(len(name) + len(value) for name, value in self.headers)
        if size > MAX_HEAD_BYTES:
            self._refusal = _TOO_LARGE
            raise _HeadTooLargeError  # the parser stops, and uvicorn calls `send_400_response`
        super().on_headers_complete()

    def send_400_response(self, msg: str) -> None:
        """Refuse what cannot be parsed, for the reason there is."""
        if self._refusal is None:
            super().send_400_response(msg)
        else:
            self._refuse(self._refusal)

    @property
    def _is_answering(self) -> bool:
        return bool(self.cycle) and not self.cycle.response_complete

    def _start_head_timer(self) -> None:
        self._head_timer = self.loop.call_later(self.head_seconds, self._head_is_late)

    def _stop_head_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _head_is_late(self) -> None:
        """A head that waits behind an answer is in no hurry before that has ended."""
        self._head_timer = None
        if self._is_answering:
            self._start_head_timer()
        elif self._is_in_head:
            self._refuse(_TOO_SLOW)
        else:
            self.transport.close()

    def _refuse(self, failure: Failure) -> None:
        body = failure.to_json()
        head = (
            f"HTTP/1.1 {failure.status} {HTTPStatus(failure.status).phrase}\r\n"
            f"content-type: application/json\r\ncontent-length: {len(body)}\r\n"
            "connection: close\r\n\r\n"
        )
        self.transport.write((head + body).encode())
        self.transport.close()
