"""One answer on its way to the client. uvicorn's, with what it does not know of early and old."""

from uvicorn._types import ASGISendEvent
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from llm_api.api.http.framing import JoinedWrites

_EVENTS = b"text/event-stream"
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
_COMMENT = b":\n"


class AnswerCycle(RequestResponseCycle):
    """Says `connection: close` where the answer begins before the body was whole.

    That connection is then its owner's to close (`more_body` is still true). A client of HTTP/1.0
    is sent no chunks: an answer of unknown length ends with its connection. The head of one whose
    length is known goes with its body.
    """

    transport: JoinedWrites

    _ends_by_closing = False
    _is_event_stream = False

    async def send(self, message: ASGISendEvent) -> None:
        """Write a message of the application's."""
        if message["type"] == "http.response.start":
            self.keep_alive = self.keep_alive and not self.more_body
            headers = list(message.get("headers", ()))
            if not self.keep_alive:
                headers = [header for header in headers if header[0].lower() != b"connection"]
                message["headers"] = headers
            named = {name.lower(): value for name, value in headers}
            self._is_event_stream = named.get(b"content-type", b"").startswith(_EVENTS)
            if self._is_old and b"content-length" not in named:
                self._ends_by_closing = True
                self.chunked_encoding = False
            if b"content-length" in named and self.scope["method"] != "HEAD":
                self.transport.hold()
        elif message["type"] == "http.response.body":
            if self._ends_by_closing:
                self.expected_content_length = len(message.get("body", b""))
            if self.more_body and not message.get("more_body", False):
                self.keep_alive = True
        await super().send(message)

    @property
    def is_silent_and_old(self) -> bool:
        """Whether the client of HTTP/1.0, which knows no interim answers, has had nothing yet."""
        return self._is_old and not self.response_started

    def probe(self) -> None:
        """Send the client what it has to ignore, if now is a time for that."""
        if not self.response_started:
            self.transport.write(_CONTINUE)
        elif self._is_event_stream and not self.flow.write_paused:
            size = b"" if self._ends_by_closing else b"%x\r\n" % len(_COMMENT)
            end = b"" if self._ends_by_closing else b"\r\n"
            self.transport.write(size + _COMMENT + end)

    @property
    def _is_old(self) -> bool:
        return self.scope["http_version"] == "1.0"
