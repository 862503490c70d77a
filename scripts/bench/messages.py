"""HTTP/1.1 messages of a known length, one after the other on a connection that stays open."""

import re
from typing import Final, NamedTuple

_LENGTH: Final = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)


class HTTPMessage(NamedTuple):
    """`first_line` is a request's or a response's."""

    first_line: bytes
    body: bytes


class MessageReader:
    """Puts together what arrives in pieces. A message without a Content-Length has no body."""

    def __init__(self) -> None:
        self._received = b""
        self._body_start = 0
        self._end = 0  # of the message; 0 while its head is not whole

    def feed(self, data: bytes) -> HTTPMessage | None:
        """The message, once it is whole. The next one must not begin before it is answered."""
        self._received += data
        if not self._end:
            head_end = self._received.find(b"\r\n\r\n")
            if head_end < 0:
                return None
            length = _LENGTH.search(self._received, 0, head_end)
            self._body_start = head_end + 4
            self._end = self._body_start + (int(length[1]) if length else 0)
        if len(self._received) < self._end:
            return None
        whole, self._received = self._received, b""
        message = HTTPMessage(whole.partition(b"\r\n")[0], whole[self._body_start : self._end])
        self._end = 0
        return message


def post_request(host: str, path: str, content: bytes) -> bytes:
    """A JSON request on a connection that stays open."""
    head = (
        f"POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(content)}\r\n\r\n"
    )
    return head.encode() + content
