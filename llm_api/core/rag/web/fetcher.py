"""Pages by URL, fetched within bounds: of size, of time, of redirects, and of where they lie.

    a URL ──► its host may be asked? ──► resolved once ──► these addresses may be asked? ──► asked
      ▲                                                                                       │
      └─────────────────────── a redirect, five at most, is a URL like any ◄──────────────────┘

The connection goes to the very address that was looked at: what a name means a moment later changes
nothing. No proxy is used, no cookie kept, no credential sent. A body is decoded piece by piece, and
no more than its bound.
"""

import asyncio
import socket
import zlib
from collections import defaultdict
from collections.abc import AsyncGenerator, AsyncIterable, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from dataclasses import dataclass, field
from email.message import Message
from typing import Final, TypeAlias

import httpx2

from llm_api.core.errors import InvalidRequestError, UpstreamError, UpstreamTimeoutError
from llm_api.core.rag.web.hosts import HostRules, Site, page_url, site_of

AGENT: Final = "llm_api"
REDIRECTS: Final = 5
PIECE_BYTES: Final = 256 * 1024
AT_ONCE: Final = 16
"""Pages that a server fetches at the same time, whoever asked for them."""
AT_ONCE_FROM_HOST: Final = 2

Resolve: TypeAlias = Callable[[str, int], Awaitable[Sequence[str]]]
NewTransport: TypeAlias = Callable[[], httpx2.AsyncBaseTransport]


class PageStatusError(UpstreamError):
    """The host answered something else than a page."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.is_not_there = 400 <= status < 500


@dataclass(frozen=True, slots=True)
class FetchLimits:
    """Bytes are those of the decoded body."""

    page_bytes: int = 20_000_000
    seconds: float = 30.0
    connect_seconds: float = 5.0
    read_seconds: float = 10.0


@dataclass(frozen=True, slots=True)
class Validators:
    """What a server said of the page when it was fetched, to be asked whether it has changed."""

    etag: str = ""
    last_modified: str = ""

    def headers(self) -> dict[str, str]:
        asked = {"if-none-match": self.etag, "if-modified-since": self.last_modified}
        return {name: value for name, value in asked.items() if value}


NO_VALIDATORS: Final = Validators()
Known: TypeAlias = Callable[[str], Awaitable[Validators]]
"""What is known of the page of a URL."""


async def nothing_known(_url: str) -> Validators:
    return NO_VALIDATORS


@dataclass(frozen=True, slots=True)
class FetchedPage:
    """`url` is where it was found at last. `data` is None where it has not changed."""

    url: str
    data: bytes | None
    media_type: str = ""
    charset: str = ""
    validators: Validators = NO_VALIDATORS


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    headers: httpx2.Headers
    data: bytes | None


async def resolve(host: str, port: int) -> Sequence[str]:
    """The addresses of a host, as the system's resolver has them. Raises OSError."""
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(address[0]) for *_, address in found]


def new_transport() -> httpx2.AsyncBaseTransport:
    """Connections without a proxy. Blocks: it reads the certificates of this machine."""
    limits = httpx2.Limits(max_connections=AT_ONCE_FROM_HOST, keepalive_expiry=5)
    return httpx2.AsyncHTTPTransport(limits=limits)


@dataclass(frozen=True, slots=True)
class Web:
    """The way to pages, shared by all who fetch."""

    rules: HostRules = field(default_factory=HostRules)
    limits: FetchLimits = field(default_factory=FetchLimits)
    resolve: Resolve = resolve
    new_transport: NewTransport = new_transport
    rooms: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(AT_ONCE))

    @asynccontextmanager
    async def fetching(self) -> "AsyncGenerator[Fetcher, None]":
        """One round of fetching: it knows each host's address, and keeps connections to it."""
        async with AsyncExitStack() as connections:
            yield Fetcher(self, connections)


class _Host:
    """A host in one round: its addresses, as they were looked up once."""

    def __init__(self, addresses: Sequence[str], transport: httpx2.AsyncBaseTransport) -> None:
        self.addresses = addresses
        self.transport = transport


class Fetcher:
    """Opened by `Web.fetching`."""

    def __init__(self, web: Web, connections: AsyncExitStack) -> None:
        self._web = web
        self._connections = connections
        self._hosts: dict[Site, _Host] = {}
        self._turns: defaultdict[str, asyncio.Semaphore] = defaultdict(
            lambda: asyncio.Semaphore(AT_ONCE_FROM_HOST)
        )
        self._opening: defaultdict[Site, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def fetch(
        self,
        url: httpx2.URL,
        known: Known = nothing_known,
        *,
        max_bytes: int | None = None,
        allow: Callable[[httpx2.URL], Awaitable[None]] | None = None,
        accepts: Callable[[str, str], None] | None = None,
    ) -> FetchedPage:
        """The page of a URL that `page_url` has made, wherever redirects lead.

        `allow` raises for a URL that is not to be asked for, `accepts` for a media type (and a URL)
        that is not wanted. Raises InvalidRequestError for what is refused here, UpstreamError and
        UpstreamTimeoutError for what the other side does.
        """
        limit = max_bytes or self._web.limits.page_bytes
        for _ in range(REDIRECTS + 1):
            if allow is not None:
                await allow(url)
            validators = await known(str(url))
            answer = await self._ask(url, validators, limit, accepts)
            match answer.status:
                case 304 if validators != NO_VALIDATORS:
                    return FetchedPage(str(url), None, validators=validators)
                case 301 | 302 | 303 | 307 | 308 if location := answer.headers.get("location"):
                    url = page_url(str(url.join(location)))
                case 200:
                    return _page(url, answer)
                case status:
                    raise PageStatusError(f"{url.host} answered {status}.", status)
        raise UpstreamError(f"There are more than {REDIRECTS} redirects.")

    async def _ask(
        self,
        url: httpx2.URL,
        validators: Validators,
        max_bytes: int,
        accepts: Callable[[str, str], None] | None,
    ) -> _Answer:
        site = site_of(url)
        self._web.rules.check(site)
        limits = self._web.limits
        async with self._turns[site.host], self._web.rooms:
            try:
                async with asyncio.timeout(limits.seconds):
                    host = await self._host(site)
                    return await self._asked(host, url, validators, max_bytes, accepts)
            except (TimeoutError, httpx2.TimeoutException) as error:
                raise UpstreamTimeoutError(f"{site.name} did not answer in time.") from error
            except (OSError, httpx2.HTTPError) as error:
                raise UpstreamError(f"{site.name} cannot be reached.") from error

    async def _asked(
        self,
        host: _Host,
        url: httpx2.URL,
        validators: Validators,
        max_bytes: int,
        accepts: Callable[[str, str], None] | None,
    ) -> _Answer:
        response = await self._send(host, url, validators)
        try:
            if response.status_code != 200:
                return _Answer(response.status_code, response.headers, None)
            if accepts is not None:
                accepts(_content_type(response.headers)[0], str(url))
            encoding = response.headers.get("content-encoding", "identity").strip().lower()
            data = await _body(response.aiter_raw(), encoding, max_bytes)
            return _Answer(response.status_code, response.headers, data)
        finally:
            await response.aclose()

    async def _send(self, host: _Host, url: httpx2.URL, validators: Validators) -> httpx2.Response:
        """The answer's head, from the first of the host's addresses that takes a connection."""
        limits = self._web.limits
        seconds = {"connect": limits.connect_seconds, "pool": limits.seconds}
        seconds |= {"read": limits.read_seconds, "write": limits.read_seconds}
        for number, address in enumerate(host.addresses, 1):
            request = httpx2.Request(
                "GET",
                url.copy_with(host=address),
                headers={
                    "host": url.netloc.decode("ascii"),
                    "user-agent": AGENT,
                    "accept": "*/*",
                    "accept-encoding": "gzip, deflate",
                    **validators.headers(),
                },
                extensions={"timeout": seconds, "sni_hostname": url.raw_host.decode("ascii")},
            )
            try:
                return await host.transport.handle_async_request(request)
            except (httpx2.ConnectError, httpx2.ConnectTimeout):
                if number == len(host.addresses):
                    raise
        raise UpstreamError(f"{url.host} has no address.")

    async def _host(self, site: Site) -> _Host:
        """Resolved and checked when it is first asked for."""
        async with self._opening[site]:
            if site not in self._hosts:
                addresses = [*dict.fromkeys(await self._web.resolve(site.host, site.port))]
                self._web.rules.check_addresses(site, addresses)
                transport = await asyncio.to_thread(self._web.new_transport)
                await self._connections.enter_async_context(aclosing(transport))
                self._hosts[site] = _Host(addresses, transport)
            return self._hosts[site]


def _page(url: httpx2.URL, answer: _Answer) -> FetchedPage:
    media_type, charset = _content_type(answer.headers)
    validators = Validators(
        answer.headers.get("etag", "")[:512], answer.headers.get("last-modified", "")[:64]
    )
    return FetchedPage(str(url), answer.data, media_type, charset, validators)


def _content_type(headers: Mapping[str, str]) -> tuple[str, str]:
    message = Message()
    message["content-type"] = headers.get("content-type", "application/octet-stream")
    return message.get_content_type(), message.get_content_charset("")


async def _body(pieces: AsyncIterable[bytes], encoding: str, max_bytes: int) -> bytes:
    """Raises InvalidRequestError where it is too large, UpstreamError in a form not asked for."""
    if encoding in ("gzip", "x-gzip", "deflate"):
        inflater: BoundedInflater | None = BoundedInflater(max_bytes)
    elif encoding in ("identity", ""):
        inflater = None
    else:
        raise UpstreamError(f"The page came in the encoding {encoding!r}, which nobody asked for.")
    data = bytearray()
    async for piece in pieces:
        if inflater is None:
            data += piece
            check_size(len(data), max_bytes)
        else:
            await asyncio.to_thread(inflater.feed, piece)
    return bytes(data) if inflater is None else inflater.data()


def check_size(size: int, max_bytes: int) -> None:
    if size > max_bytes:
        raise InvalidRequestError(f"It is larger than {max_bytes:,} bytes.")


class BoundedInflater:
    """Decodes gzip, or deflate with zlib's head, to no more than `max_bytes`."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._data = bytearray()
        self._stream = zlib.decompressobj(zlib.MAX_WBITS | 32)

    def feed(self, piece: bytes) -> None:
        """Blocks. Raises InvalidRequestError where too much comes out, UpstreamError for damage."""
        try:
            while piece and not self._stream.eof:
                self._data += self._stream.decompress(piece, PIECE_BYTES)
                check_size(len(self._data), self._max_bytes)
                piece = self._stream.unconsumed_tail
        except zlib.error as error:
            raise UpstreamError("Its compressed form is damaged.") from error

    def data(self) -> bytes:
        """Raises UpstreamError where it has not come whole."""
        if not self._stream.eof:
            raise UpstreamError("It was cut off.")
        return bytes(self._data)
