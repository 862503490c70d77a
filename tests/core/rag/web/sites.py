"""Hosts in a dictionary, and a transport that answers for them by address."""

import gzip
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field

import httpx2

from llm_api.core.rag.web.fetcher import FetchLimits, Web
from llm_api.core.rag.web.hosts import HostRules

PUBLIC = "93.184.216.34"


@dataclass(frozen=True)
class Said:
    """An answer; `pieces` instead of a `body` come one by one."""

    body: bytes = b""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    pieces: Sequence[bytes] = ()


def page(text: str = "words", **headers: str) -> Said:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Said(f"<html><body><p>{text}".encode(), headers={"content-type": "text/html"} | named)


def moved(to: str, status: int = 302) -> Said:
    return Said(status=status, headers={"location": to})


def squeezed(data: bytes, **headers: str) -> Said:
    return Said(gzip.compress(data), headers={"content-encoding": "gzip", **headers})


class _Pieces(httpx2.AsyncByteStream):
    def __init__(self, pieces: Sequence[bytes]) -> None:
        self._pieces = pieces

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self._pieces:
            yield piece


@dataclass
class Sites(httpx2.AsyncBaseTransport):
    """`said` by URL, `addresses` by host: each resolution takes the next ones, the last for good.

    Remembers the addresses that were connected to, and the requests.
    """

    said: dict[str, Said] = field(default_factory=dict)
    addresses: dict[str, list[list[str]]] = field(default_factory=dict)
    connected: list[str] = field(default_factory=list)
    requests: list[httpx2.Request] = field(default_factory=list)

    def web(self, *allowed: str, limits: FetchLimits | None = None) -> Web:
        """The public web, and hosts that are allowed."""
        rules = HostRules(allowed, allows_public=True)
        return Web(rules, limits or FetchLimits(), self.resolve, lambda: self)

    async def resolve(self, host: str, port: int) -> Sequence[str]:
        known = self.addresses.get(host, [[PUBLIC]])
        return known.pop(0) if len(known) > 1 else known[0]

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        self.connected.append(request.url.host)
        self.requests.append(request)
        url = f"{request.url.scheme}://{request.headers['host']}{request.url.raw_path.decode()}"
        said = self.said.get(url, Said(status=404))
        stream = _Pieces(said.pieces or [said.body])
        return httpx2.Response(said.status, headers=dict(said.headers), stream=stream)
