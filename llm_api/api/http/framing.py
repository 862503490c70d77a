"""Parts of HTTP/1.1 on the wire that neither the parser nor uvicorn have."""

from asyncio import Transport
from collections.abc import Iterable
from http import HTTPStatus
from typing import Final, TypeAlias

from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from llm_api.api.errors import Failure, error_text
from llm_api.api.middleware.request_id import new_request_id

Headers: TypeAlias = Iterable[tuple[bytes, bytes]]

_FRAMING: Final = (b"transfer-encoding", b"content-length")


class HeldFlow(FlowControl):
    """uvicorn's flow control, which waiting for a message resumes: not while it is held."""

    _is_held = False

    def hold(self, is_held: bool) -> None:
        """Read nothing until this is called with False."""
        was_held, self._is_held = self._is_held, is_held
        if is_held:
            self.pause_reading()
        elif was_held:
            self.resume_reading()

    def resume_reading(self) -> None:
        if not self._is_held:
            super().resume_reading()


class JoinedWrites(Transport):
    """A connection's transport to one answer, whose head may wait for the body's beginning.

    Each write wakes the client: one less is 60 microseconds less of what a gateway adds.
    """

    def __init__(self, transport: Transport) -> None:
        super().__init__()
        self._transport = transport
        self._holds = False
        self._held: bytes = b""

    def hold(self) -> None:
        """Let the next write wait for the one behind it."""
        self._holds = True

    def write(self, data: bytes) -> None:  # type: ignore[override]
        if self._holds:
            self._holds, self._held = False, data
            return
        held, self._held = self._held, b""
        self._transport.write(held + data if held else data)

    def is_closing(self) -> bool:
        return self._transport.is_closing()

    def close(self) -> None:
        self._transport.close()


class BodyOnly:
    """What a parser tells of a body whose head another one has read."""

    def __init__(self, connection: HttpToolsProtocol) -> None:
        self.on_header = connection.on_header
        self.on_body = connection.on_body
        self.on_message_complete = connection.on_message_complete


def head_of_body(headers: Headers) -> bytes:
    """A head that makes a parser read the body that these headers announce. Pure."""
    framing = [b"%b: %b\r\n" % header for header in headers if header[0] in _FRAMING]
    return b"POST / HTTP/1.1\r\n" + b"".join(framing) + b"\r\n"


def content_length(headers: Headers) -> int:
    """As the parser has checked it; 0 where there is none. Pure."""
    return int(dict(headers).get(b"content-length", b"0"))


def has_body(headers: Headers) -> bool:
    """Whether a body comes after these headers. Pure."""
    return content_length(headers) > 0 or any(name == _FRAMING[0] for name, _ in headers)


def refusal(failure: Failure) -> bytes:
    """A whole answer, to a client whose request never reaches the application. Pure."""
    body = error_text(failure).encode()
    headers = {
        "content-type": "application/json",
        "content-length": str(len(body)),
        "x-request-id": new_request_id(),
        "connection": "close",
        **failure.headers,
    }
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    phrase = HTTPStatus(failure.status).phrase
    return f"HTTP/1.1 {failure.status} {phrase}\r\n{lines}\r\n".encode() + body
