"""What carries httpx2's requests, with aiohttp: it reads HTTP in C.

A gateway's request, answered by a stream of nine events, took 550 microseconds of the processor
with httpx2's own transport, which reads HTTP in Python, and takes 220 with this one.
"""

import asyncio
import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from types import SimpleNamespace

import aiohttp
import httpx2
from yarl import URL

_KEPT_SECONDS = 4.0
"""Uvicorn and Node close a connection after 5 seconds: one must not be taken just then."""


class AiohttpTransport(httpx2.AsyncBaseTransport):
    """As many connections as there are requests, kept for a while. Opens none before the first.

    Raises what httpx2's own transport would.
    """

    def __init__(self, tls: ssl.SSLContext | None, *, trust_env: bool) -> None:
        """`tls` is for servers that speak it; with `trust_env`, HTTP_PROXY and such are heeded."""
        self._tls = tls
        self._trust_env = trust_env
        self._session: aiohttp.ClientSession | None = None
        self._waits: set[asyncio.Timeout] = set()

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        async with self.waiting(request):
            answer = await self._answered(request)
        body = _Body(self, request, answer)
        return httpx2.Response(
            answer.status, headers=answer.raw_headers, stream=body, request=request
        )

    async def aclose(self) -> None:
        """What still waits for a server raises ReadError."""
        while self._waits:
            self._waits.pop().reschedule(0)
        if self._session is not None:
            await self._session.close()

    @asynccontextmanager
    async def waiting(self, request: httpx2.Request) -> AsyncGenerator[None, None]:
        """A wait for the server, which ends when this is closed: aiohttp would let it hang."""
        wait = asyncio.timeout(None)
        try:
            with _as_httpx2(request):
                async with wait:
                    self._waits.add(wait)
                    yield
        except httpx2.ReadTimeout as error:
            if wait.expired():
                raise httpx2.ReadError("closed", request=request) from error
            raise
        finally:
            self._waits.discard(wait)

    async def _answered(self, request: httpx2.Request) -> aiohttp.ClientResponse:
        """The beginning of an answer.

        A kept connection may be closed over there just when it is taken: llama-server says that it
        keeps it, and closes it a millisecond after a stream. So what nobody has answered there is
        asked again, which harms nothing: a model or an embedding is asked.
        """
        while True:
            connection = _Connection()
            try:
                return await self._opened().request(
                    request.method,
                    URL(str(request.url), encoded=True),
                    headers=[
                        (name.decode(), value.decode("latin-1"))
                        for name, value in request.headers.raw
                    ],
                    data=await request.aread(),
                    allow_redirects=False,
                    timeout=_timeout(request),
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
                auto_decompress=False,
                trust_env=self._trust_env,
            )
        return self._session


@dataclass(slots=True)
class _Connection:
    """What one attempt was sent over."""

    was_kept: bool = False


async def _note_reuse(_session: object, context: SimpleNamespace, _what: object) -> None:
    context.trace_request_ctx.was_kept = True


class _Body(httpx2.AsyncByteStream):
    """The body as it comes. Closing it early closes its connection."""

    def __init__(
        self, transport: AiohttpTransport, request: httpx2.Request, answer: aiohttp.ClientResponse
    ) -> None:
        self._transport = transport
        self._request = request
        self._answer = answer

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while True:
            async with self._transport.waiting(self._request):
                part = await self._answer.content.readany()
            if not part:
                return
            yield part

    async def aclose(self) -> None:
        self._answer.close()


def _timeout(request: httpx2.Request) -> aiohttp.ClientTimeout:
    seconds = request.extensions.get("timeout", {})
    return aiohttp.ClientTimeout(
        total=None, sock_connect=seconds.get("connect"), sock_read=seconds.get("read")
    )


@contextmanager
def _as_httpx2(request: httpx2.Request) -> Iterator[None]:
    """Turn what aiohttp raises into what httpx2 would have raised."""
    try:
        yield
    except aiohttp.ConnectionTimeoutError as error:
        raise httpx2.ConnectTimeout(str(error), request=request) from error
    except TimeoutError as error:
        raise httpx2.ReadTimeout(str(error), request=request) from error
    except aiohttp.ClientConnectorError as error:
        raise httpx2.ConnectError(str(error), request=request) from error
    except (aiohttp.InvalidURL, aiohttp.NonHttpUrlClientError) as error:
        raise httpx2.UnsupportedProtocol(str(error), request=request) from error
    except aiohttp.ClientOSError as error:
        raise httpx2.ReadError(str(error), request=request) from error
    except aiohttp.ClientError as error:
        raise httpx2.RemoteProtocolError(str(error), request=request) from error
    except ValueError as error:  # of a header that would be two
        raise httpx2.LocalProtocolError(str(error), request=request) from error
