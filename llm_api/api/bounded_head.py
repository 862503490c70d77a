"""uvicorn's HTTP over httptools, whose parser by itself would read a request's head without end."""

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from llm_api.api.errors import Failure

MAX_HEAD_BYTES = 64 * 1024
"""Of the request line and all headers together. A cookie or a token of a proxy fits easily."""

_TOO_LARGE = Failure(
    431,
    "invalid_request_error",
    f"The request's headers must not be larger than {MAX_HEAD_BYTES} bytes.",
    "headers_too_large",
).to_json()


class _HeadTooLargeError(Exception):
    """Ends the parsing of a head."""


class BoundedHeadProtocol(HttpToolsProtocol):
    """Answers 431 to a head above MAX_HEAD_BYTES, and closes the connection.

    A head that does not end is looked at after each read, so one connection takes no more memory
    for it than that and two reads (of 256 KiB at most).
    """

    _is_in_head = False
    _is_too_large = False
    _head_bytes = 0

    def data_received(self, data: bytes) -> None:
        """Count what continues a head, and parse it."""
        if self._is_in_head:
            self._head_bytes += len(data)
        super().data_received(data)
        if self._is_in_head and self._head_bytes > MAX_HEAD_BYTES:
            self._is_in_head = False
            self._is_too_large = True
            self.send_400_response("")

    def on_message_begin(self) -> None:
        """A head begins, somewhere in a read."""
        self._is_in_head = True
        self._head_bytes = 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Measure the head exactly, now that it is there."""
        self._is_in_head = False
        size = len(self.url) + sum(len(name) + len(value) for name, value in self.headers)
        if size > MAX_HEAD_BYTES:
            self._is_too_large = True
            raise _HeadTooLargeError  # the parser stops, and uvicorn calls `send_400_response`
        super().on_headers_complete()

    def send_400_response(self, msg: str) -> None:
        """Refuse what cannot be parsed, for the reason there is."""
        if not self._is_too_large:
            super().send_400_response(msg)
            return
        head = (
            "HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-type: application/json\r\n"
            f"content-length: {len(_TOO_LARGE)}\r\nconnection: close\r\n\r\n"
        )
        self.transport.write((head + _TOO_LARGE).encode())
        self.transport.close()
