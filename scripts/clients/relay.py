"""What stands between a client and the world: a relay that takes notes, and a door that is shut.

The relay hands requests to the server and the answer back as it comes. The door is the proxy that
a client's environment names: what goes to it was meant for somewhere else, and ends there.
"""

import http.client
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

from scripts.clients.loopback import CONNECTION_SECONDS, HOST, Handler, serving

_NOT_PASSED_ON: Final = frozenset({"connection", "keep-alive", "transfer-encoding", "host"})
_ID: Final = re.compile(r"\b[a-z]+_[0-9a-f]{16,}\b")
_PIECE: Final = 65536


@dataclass(slots=True)
class Exchange:
    """A request as the client sent it, and its answer as it came."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    status: int = 0
    answer: bytes = b""

    def __str__(self) -> str:
        """Without ids and queries: `GET /v1/responses/{id}: 200`."""
        path = _ID.sub("{id}", self.path.partition("?")[0])
        return f"{self.method} {path}: {self.status}"


@dataclass(slots=True)
class Notes:
    """What one client did. `outside` are the places it tried to reach besides the server."""

    exchanges: list[Exchange] = field(default_factory=list)
    outside: list[str] = field(default_factory=list)


@contextmanager
def relay(port: int, notes: Notes) -> Iterator[int]:
    """Yields the port by which the server on `port` is reached while notes are taken."""

    class Relay(Handler):
        def do_POST(self) -> None:  # noqa: N802 - the name that http.server calls
            headers = {name.lower(): value for name, value in self.headers.items()}
            exchange = Exchange(self.command, self.path, headers, self.body())
            notes.exchanges.append(exchange)
            connection = http.client.HTTPConnection(HOST, port, timeout=CONNECTION_SECONDS)
            try:
                self._pass_on(connection, exchange)
            finally:
                connection.close()

        do_GET = do_DELETE = do_PATCH = do_PUT = do_HEAD = do_POST  # noqa: N815 - likewise

        def _pass_on(self, connection: http.client.HTTPConnection, exchange: Exchange) -> None:
            headers = _passed_on(exchange.headers)
            connection.request(exchange.method, exchange.path, exchange.body or None, headers)
            answer = connection.getresponse()
            exchange.status = answer.status
            self.begin(answer.status, _passed_on(dict(answer.getheaders())))
            while piece := answer.read1(_PIECE):
                exchange.answer += piece
                self.wfile.write(piece)

    with serving(Relay) as own_port:
        yield own_port


def _passed_on(headers: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in headers.items() if name.lower() not in _NOT_PASSED_ON}


@contextmanager
def shut_door(notes: Notes) -> Iterator[int]:
    """Yields the port of a proxy that lets nobody through."""

    class ShutDoor(Handler):
        def do_CONNECT(self) -> None:  # noqa: N802 - the name that http.server calls
            notes.outside.append(self.path)
            self.answer(403, {})

        do_GET = do_POST = do_PUT = do_HEAD = do_CONNECT  # noqa: N815 - likewise

    with serving(ShutDoor) as port:
        yield port
