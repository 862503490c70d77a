"""One connection: reads a request, answers it, and only then reads the next. uvicorn, httptools.

| state | what comes meanwhile |
|---|---|
| 1. in a head | is parsed |
| 2. in a body | is parsed, while the route takes it (uvicorn's flow control) |
| 3. a request is whole, its answer due | waits unparsed; above MAX_WAITING_BYTES in its sockets |
| 4. answered before its body was whole | is thrown away, for a moment; then the connection closes |

In state 3 the connection is still read, as a client that leaves is noticed by that alone.

Covers what one connection can hold in memory: one request, one answer, and a read or two. Does not
cover the size and the time of a head (`bounded_head`) and of a body (`body_limit`).
"""

import asyncio
import logging
from asyncio import TimerHandle, Transport
from typing import Final
from urllib.parse import unquote

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from llm_api.api.errors import Failure
from llm_api.api.http.answer_cycle import AnswerCycle
from llm_api.api.http.framing import (
    BodyOnly,
    HeldFlow,
    JoinedWrites,
    content_length,
    has_body,
    head_of_body,
    refusal,
)
from llm_api.core.utils.logs import Seldom

log = logging.getLogger(__name__)

MAX_WAITING_BYTES: Final = 64 * 1024
"""What may wait behind an answer that is due, besides one read."""

PIPELINE_SECONDS: Final = 0.005
"""Between an answer and a request that its client has sent without waiting for it. Clients that
anybody uses wait; one that does not must not keep the event loop from the others."""
LINGER_SECONDS: Final = 2.0
LINGER_BYTES: Final = 16 * 1024 * 1024
"""What is thrown away of a body that nobody wants, so that its client comes to read the answer."""
LINGER_BYTES_AFTER_REFUSAL: Final = 256 * 1024
MAX_REFUSED: Final = 256
"""Connections beyond the limit that are answered at the same time."""
STALLED_SECONDS: Final = 60.0
"""A client that takes none of its answer for so long is cut off, as nginx does by default."""
FIRST_PROBE_SECONDS: Final = 0.02
MAX_PROBE_SECONDS: Final = 5.0
OLD_CLIENT_SECONDS: Final = 5.0
"""How long an HTTP/1.0 client that sends no more is answered: it cannot be asked if it is there."""

_VERSIONS = ("1.0", "1.1")
_HEAD_END = b"\r\n\r\n"
_NOT_HTTP = Failure(
    400, "invalid_request_error", "What was sent is not valid HTTP/1.1.", "invalid_http"
)
_FULL = Failure(
    503,
    "server_error",
    "The server has as many connections as it takes; try again.",
    "too_many_connections",
    headers={"retry-after": "1"},
)


_FULL_LOG = "%d connections are open, as many as MAX_CONNECTIONS says: further ones are refused"


class ParsingEndedError(Exception):
    """Ends the parsing out of one of the parser's callbacks."""


class HTTPConnection(HttpToolsProtocol):
    """uvicorn's protocol with states: one request at a time, and an end in order.

    `limit_concurrency` of uvicorn's configuration is the number of connections: one more is
    answered 503. Upgrades are not spoken: a request for one is answered in plain HTTP, its body
    read like any other (Java's HttpClient asks for HTTP/2 in every first request).
    """

    stalled_seconds = STALLED_SECONDS
    flow: HeldFlow
    cycle: AnswerCycle

    _tells_full = Seldom(60)  # of all connections together
    _unread = b""
    _tail = b""
    _body_left = 0
    _is_whole = False
    _is_half_closed = False
    _linger_bytes: int | None = None
    _stalled_bytes = 0
    _write_timer: TimerHandle | None = None
    _end_timer: TimerHandle | None = None
    _probe_timer: TimerHandle | None = None

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]
        """Take the connection, or refuse it where there are enough."""
        super().connection_made(transport)
        self.flow = HeldFlow(transport)
        if self.client is not None:  # an IPv4 address as a socket for both families has it
            self.client = (self.client[0].removeprefix("::ffff:"), self.client[1])
        if self.limit_concurrency is not None and len(self.connections) > self.limit_concurrency:
            self._refuse_connection(self.limit_concurrency)

    def connection_lost(self, exc: Exception | None) -> None:
        """End the timers: nothing is waited for any more."""
        for timer in (self._write_timer, self._end_timer, self._probe_timer):
            if timer is not None:
                timer.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse what belongs to this request, keep or throw away the rest."""
        self._unset_keepalive_if_required()
        if self._linger_bytes is not None:
            self._linger_bytes -= len(data)
            if self._linger_bytes < 0:
                self.flow.hold(True)  # it has the rest of the time to read the answer
        elif self._is_whole:
            self._keep(self._unread + data)
        else:
            self._parse(data)

    def eof_received(self) -> bool:  # type: ignore[override]
        """Whether to go on writing: to a client that has asked, and only sends no more.

        One that has left looks the same, until something is sent to it.
        """
        is_ending = self._linger_bytes is not None or self.transport.is_closing()
        self._is_half_closed = self._is_whole and not is_ending
        if self._is_half_closed:
            self._probe(FIRST_PROBE_SECONDS)
        return self._is_half_closed

    def pause_writing(self) -> None:
        """The client takes less than it is sent: see to it that it takes some."""
        super().pause_writing()
        self._watch_writing()

    def resume_writing(self) -> None:
        """It has taken most."""
        super().resume_writing()
        if self._write_timer is not None:
            self._write_timer.cancel()
            self._write_timer = None

    # What the parser finds

    def on_message_begin(self) -> None:
        """A request begins. A second one within what ended the first is no HTTP of ours."""
        if self._is_whole:
            raise ParsingEndedError
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Begin to answer."""
        version, method = self.parser.get_http_version(), self.parser.get_method()
        if version not in _VERSIONS:
            raise ParsingEndedError
        target = httptools.parse_url(self.url)
        self.scope["method"] = method.decode("ascii")
        self.scope["http_version"] = version
        self.scope["raw_path"] = target.path
        self.scope["path"] = unquote(target.path.decode("ascii"))
        self.scope["query_string"] = target.query or b""
        self._body_left = content_length(self.headers)
        is_old = version != "1.1"
        self.cycle = AnswerCycle(
            scope=self.scope,
            transport=JoinedWrites(self.transport),
            flow=self.flow,
            logger=self.logger,
            access_logger=self.access_logger,
            access_log=self.access_log,
            default_headers=self.server_state.default_headers,
            message_event=asyncio.Event(),
            expect_100_continue=self.expect_100_continue and not is_old,
            keep_alive=not is_old and self.parser.should_keep_alive(),
            on_response=self.on_response_complete,
        )
        self._start_asgi_task(self.cycle, self.app)

    def on_message_complete(self) -> None:
        """The request is whole; one whose upgrade is not spoken has its body still to come."""
        if self.parser.should_upgrade() and has_body(self.headers):
            return
        self._is_whole = True
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """Close after an early answer; else go on with what has come meanwhile."""
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            self._close_in_time()
        elif self.cycle.more_body:
            self._linger(LINGER_BYTES)
        else:
            self.loop.call_later(PIPELINE_SECONDS if self._unread else 0, self._go_on)

    # States

    @property
    def _is_answering(self) -> bool:
        """Whether a request has begun whose answer has not ended."""
        return bool(self.cycle) and not self.cycle.response_complete

    def _go_on(self) -> None:
        """Read the next request: from what has come meanwhile, if anything has."""
        if self.transport.is_closing():
            return
        self._is_whole = False
        self.parser = httptools.HttpRequestParser(self)
        unread, self._unread = self._unread, b""
        self._parse(unread)
        self.flow.resume_reading()  # which a body that nobody read has paused
        if self.transport.is_closing() or self._is_answering:
            return
        if self._is_half_closed:
            self._close()
            return
        self._unset_keepalive_if_required()
        self.timeout_keep_alive_task = self.loop.call_later(
            self.timeout_keep_alive, self.timeout_keep_alive_handler
        )

    def _parse(self, data: bytes) -> None:
        """Feed the parser up to the end of a request at most; keep the rest.

        A head ends, and a chunked body does, in an empty line; of another body the size is known.
        So what is fed at once ends there: no request begins within it.
        """
        position = 0
        while position < len(data) and self._is_parsing:
            end = self._end_of_piece(data, position)
            self._feed(memoryview(data)[position:end])
            position = end
        self._keep(data[position:])

    @property
    def _is_parsing(self) -> bool:
        return not (self._is_whole or self._linger_bytes is not None or self.transport.is_closing())

    def _end_of_piece(self, data: bytes, position: int) -> int:
        if self._body_left:
            return min(len(data), position + self._body_left)
        if position == 0:  # an end that came in two
            found = (self._tail + data[:3]).find(_HEAD_END)
            if found >= 0:
                return found + len(_HEAD_END) - len(self._tail)
        found = data.find(_HEAD_END, position)
        return len(data) if found < 0 else found + len(_HEAD_END)

    def _feed(self, piece: memoryview) -> None:
        """Parse a piece. Mutates what is known of the request."""
        in_body = bool(self._body_left)
        self._tail = b"" if in_body else (self._tail + bytes(piece[-3:]))[-3:]
        try:
            self._feed_parser(piece)
        except httptools.HttpParserError:
            self._refuse(self._reason())
        if in_body:
            self._body_left -= len(piece)

    def _feed_parser(self, piece: memoryview) -> None:
        """Raises HttpParserError. An upgrade's body is another protocol's to it: read it anew."""
        try:
            self.parser.feed_data(piece)
        except httptools.HttpParserUpgrade:
            if not self._is_whole:
                self.parser = httptools.HttpRequestParser(BodyOnly(self))
                self.parser.feed_data(head_of_body(self.headers))

    def _reason(self) -> Failure:
        """Why the parser has ended."""
        return _NOT_HTTP

    def _keep(self, unread: bytes) -> None:
        """Keep what belongs to a later request; where it is too much, read no more for now."""
        self._unread = unread if self._is_whole else b""
        self.flow.hold(len(self._unread) > MAX_WAITING_BYTES)

    # Ends

    def _refuse(self, failure: Failure) -> None:
        """Answer what never becomes a request, and close. An answer that has begun is cut."""
        if self.transport.is_closing() or self._linger_bytes is not None:
            return
        if self._is_answering and self.cycle.response_started:
            self.transport.abort()
            return
        self.transport.write(refusal(failure))
        if self._is_answering:
            self.cycle.disconnected = True  # whatever its route answers is too late
            self.cycle.message_event.set()
        self._linger(LINGER_BYTES_AFTER_REFUSAL)

    def _refuse_connection(self, limit: int) -> None:
        """Answer that there are enough; where too many are still being told so, close at once."""
        if self._tells_full.is_due():
            log.warning(_FULL_LOG, limit)
        if len(self.connections) > limit + MAX_REFUSED:
            self.transport.abort()
        else:
            self._refuse(_FULL)

    def _linger(self, max_bytes: int) -> None:
        """End the answer, let its client read it, and close: at once, it could not any more.

        A connection that is closed with bytes unread is reset, and takes the answer with it.
        """
        self._linger_bytes = max_bytes
        self._unread = b""
        self.transport.write_eof()
        self.flow.hold(False)
        self.flow.resume_reading()
        self._end_timer = self.loop.call_later(LINGER_SECONDS, self.transport.abort)

    def _close(self) -> None:
        self.transport.close()
        self._close_in_time()

    def _close_in_time(self) -> None:
        """A closed connection waits for its client to take the rest: not for ever."""
        if self.transport.get_write_buffer_size() and self._end_timer is None:
            self._end_timer = self.loop.call_later(self.stalled_seconds, self.transport.abort)

    def _watch_writing(self) -> None:
        self._stalled_bytes = self.transport.get_write_buffer_size()
        if self._write_timer is not None:
            self._write_timer.cancel()
        self._write_timer = self.loop.call_later(self.stalled_seconds, self._check_writing)

    def _check_writing(self) -> None:
        if self.transport.get_write_buffer_size() < self._stalled_bytes:
            self._watch_writing()
        else:
            self.transport.abort()

    def _probe(self, seconds: float) -> None:
        """Send a client that sends no more what it may ignore: one that has left refuses it.

        The refusal is noticed by the next one, so they come until the answer ends.
        """
        if self.transport.is_closing() or not self._is_answering:
            return
        if self.cycle.is_silent_and_old:
            self._probe_timer = self.loop.call_later(OLD_CLIENT_SECONDS, self._leave_if_silent)
            return
        self.cycle.probe()
        later = min(2 * seconds, MAX_PROBE_SECONDS)
        self._probe_timer = self.loop.call_later(seconds, self._probe, later)

    def _leave_if_silent(self) -> None:
        if self._is_answering and self.cycle.is_silent_and_old:
            self.transport.abort()
