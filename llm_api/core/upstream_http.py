"""Another server, asked with aiohttp, which reads HTTP in C. Knows neither what is asked nor why.

A stream of twelve events takes 115 microseconds of the processor, from the request to the last
event. With aiohttp as the transport of httpx2 it took 280.
"""

import asyncio
import json
from collections.abc import AsyncGenerator, Coroutine, Mapping
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, TypeVar

import aiohttp
import httpx2
from yarl import URL

from llm_api.core.errors import LLMAPIError, UnavailableError, UpstreamError, UpstreamTimeoutError
from llm_api.core.upstream import (
    ERROR_BYTES,
    LOOPBACK,
    UpstreamServer,
    WholeAnswer,
    outgoing_trace,
    refusal,
)

Result = TypeVar("Result")

DOCUMENT_BYTES = 4 * 1024 * 1024
"""A list of models, what is told of a server."""

BODY_SECONDS = 60.0
"""How long a body may come that is read as a whole, from its beginning."""

_KEPT_SECONDS = 4.0
"""Uvicorn and Node close a connection after 5 seconds: one must not be taken just then."""


class UpstreamHTTP:
    """As many connections to one server as there are requests, kept for a while.

    Opens none before the first request. Follows no redirects, carries traces on. Raises
    UnavailableError, UpstreamTimeoutError and UpstreamError, whose words do not contain the key:
    what aiohttp says, which may quote a header, stays in the chain.
    """

    def __init__(
        self,
        server: UpstreamServer,
        url: str,
        headers: Mapping[str, str],
        *,
        connect_seconds: float,
        silence_seconds: float,
    ) -> None:
        """Paths are below `url`. `silence_seconds` bounds the time between two parts of an answer.

        HTTP_PROXY and such are heeded, but not for this machine itself.
        """
        place = URL(url)
        self._server = server
        self._base = f"{url.rstrip('/')}/"
        self._headers = dict(headers)
        self._patience = _patience(connect_seconds, silence_seconds)
        self._trust_env = place.host not in LOOPBACK
        is_tls = place.scheme == "https"
        self._tls = httpx2.create_ssl_context(trust_env=self._trust_env) if is_tls else None
        self._session: aiohttp.ClientSession | None = None
        self._waits: set[asyncio.Timeout] = set()
        self._is_closed = False

    async def get(self, path: str, seconds: float | None = None) -> WholeAnswer:
        """What is there, whatever its status. With `seconds`, each wait is bounded by them."""
        patience = self._patience if seconds is None else _patience(seconds, seconds)
        async with self._answered("GET", path, None, patience) as answer:
            return await answer.whole(DOCUMENT_BYTES)

    async def post(
        self, path: str, body: Mapping[str, object], most_bytes: int = DOCUMENT_BYTES
    ) -> WholeAnswer:
        """What is answered to this JSON, whatever its status. Raises UpstreamError for more."""
        async with self._answered("POST", path, body, self._patience) as answer:
            return await answer.whole(most_bytes)

    @asynccontextmanager
    async def stream(
        self, path: str, body: Mapping[str, object]
    ) -> AsyncGenerator["OpenAnswer", None]:
        """An answer as it comes. Leaving it early closes its connection.

        Raises what an answer without success means, too.
        """
        async with self._answered("POST", path, body, self._patience) as answer:
            if not answer.is_success:
                raise refusal(self._server, await answer.whole(0))
            yield answer

    async def aclose(self) -> None:
        """Close every connection. Requests that wait end with UnavailableError. Idempotent."""
        self._is_closed = True
        while self._waits:
            self._waits.pop().reschedule(0)
        if self._session is not None:
            await self._session.close()

    async def waited(self, work: Coroutine[Any, Any, Result]) -> Result:
        """What the server gives, unless this is closed before: aiohttp would let it hang."""
        wait = asyncio.timeout(None)
        self._waits.add(wait)
        try:
            async with wait:
                return await work
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            raise self._failure(error) from error
        finally:
            self._waits.discard(wait)

    @asynccontextmanager
    async def _answered(
        self,
        method: str,
        path: str,
        body: Mapping[str, object] | None,
        patience: aiohttp.ClientTimeout,
    ) -> AsyncGenerator["OpenAnswer", None]:
        if self._is_closed:
            raise _stopping()
        headers = {**self._headers, **outgoing_trace.get()}
        data = None
        if body is not None:
            headers["content-type"] = "application/json"
            said = json.dumps(body, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
            data = said.encode()
        answer = await self.waited(self._begun(method, path, headers, data, patience))
        try:
            yield OpenAnswer(self, self._server, answer)
        finally:
            answer.close()

    async def _begun(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str],
        data: bytes | None,
        patience: aiohttp.ClientTimeout,
    ) -> aiohttp.ClientResponse:
        """The beginning of an answer.

        A kept connection may be closed over there just when it is taken: llama-server says that it
        keeps it, and closes it a millisecond after a stream. So what nobody has answered there is
        asked again, which harms nothing: a model or an embedding is asked.
        """
        while True:
            connection = _Connection()
            try:
                return await self._opened().request(
                    method,
                    self._base + path,
                    headers=headers,
                    data=data,
                    allow_redirects=False,
                    timeout=patience,
                    trace_request_ctx=connection,
                )
            except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError):
                if not connection.was_kept:
                    raise

    def _opened(self) -> aiohttp.ClientSession:
        """The session, which has to be made on the event loop that uses it."""
        if self._session is None:
            connector = aiohttp.TCPConnector(
                limit=0, keepalive_timeout=_KEPT_SECONDS, ssl=self._tls or True
            )
            reuse = aiohttp.TraceConfig()
            reuse.on_connection_reuseconn.append(_note_reuse)
            self._session = aiohttp.ClientSession(
                connector=connector,
                trace_configs=[reuse],
                cookie_jar=aiohttp.DummyCookieJar(),
                trust_env=self._trust_env,
            )
        return self._session

    def _failure(self, error: Exception) -> LLMAPIError:
        """What it means to our caller that aiohttp raises this."""
        if self._is_closed:
            return _stopping()
        match error:
            case aiohttp.ConnectionTimeoutError() | aiohttp.ClientConnectorError():
                return UnavailableError(f"{self._server} cannot be reached.")
            case TimeoutError():
                return UpstreamTimeoutError(f"{self._server} did not answer in time.")
            case ValueError() | aiohttp.NonHttpUrlClientError():  # of a header that would be two
                advice = f"check its URL and {self._server.key_name}"
                return UnavailableError(f"{self._server} cannot be asked; {advice}.")
            case _:
                return UpstreamError(f"{self._server} broke off its answer; try again.")


@dataclass(frozen=True, slots=True)
class OpenAnswer:
    """An answer whose head has come."""

    _http: UpstreamHTTP
    _server: UpstreamServer
    _answer: aiohttp.ClientResponse

    @property
    def is_success(self) -> bool:
        return 200 <= self._answer.status < 300

    @property
    def headers(self) -> Mapping[str, str]:
        """Their names are compared without their case."""
        return self._answer.headers

    @property
    def media_type(self) -> str:
        return self._answer.content_type

    async def parts(self) -> AsyncGenerator[bytes, None]:
        """The body as it comes."""
        content = self._answer.content
        while not content.at_eof() and (part := await self._http.waited(content.readany())):
            yield part

    async def whole(self, most_bytes: int) -> WholeAnswer:
        """All of it; of a failure, the beginning. Raises UpstreamError where that is more."""
        body, is_all = await self._body(most_bytes if self.is_success else ERROR_BYTES)
        if self.is_success and not is_all:
            raise UpstreamError(
                f"{self._server} answered with more than {most_bytes} bytes, or for more than"
                f" {BODY_SECONDS:.0f} s."
            )
        return WholeAnswer(self._answer.status, self.headers, body)

    async def _body(self, most_bytes: int) -> tuple[bytes, bool]:
        """As much as may be, in the time that it may take; whether that is all of it."""
        body = bytearray()
        try:
            async with asyncio.timeout(BODY_SECONDS), aclosing(self.parts()) as parts:
                async for part in parts:
                    body += part
                    if len(body) > most_bytes:
                        return bytes(body[:most_bytes]), False
        except TimeoutError:
            return bytes(body), False
        return bytes(body), True


@dataclass(slots=True)
class _Connection:
    """What one attempt was sent over."""

    was_kept: bool = False


async def _note_reuse(_session: object, context: SimpleNamespace, _what: object) -> None:
    context.trace_request_ctx.was_kept = True


def _patience(connect_seconds: float, silence_seconds: float) -> aiohttp.ClientTimeout:
    return aiohttp.ClientTimeout(
        total=None, sock_connect=connect_seconds, sock_read=silence_seconds
    )


def _stopping() -> UnavailableError:
    return UnavailableError("The server is stopping.")
