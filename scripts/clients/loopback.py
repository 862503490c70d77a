"""Small servers on loopback that the clients' surroundings are made of, each in a thread."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Final

HOST: Final = "127.0.0.1"
CONNECTION_SECONDS: Final = 600.0
"""How long a connection may be silent: a model on a slow machine reads a long prompt."""


class Handler(BaseHTTPRequestHandler):
    """Answers one request on each connection, and logs nothing."""

    protocol_version = "HTTP/1.1"
    timeout = CONNECTION_SECONDS

    def log_message(self, format: str, *args: object) -> None:
        """Nobody reads it."""

    def body(self) -> bytes:
        """Raises ConnectionError where the client left in the middle of it."""
        length = int(self.headers.get("content-length") or 0)
        body = self.rfile.read(length)
        if len(body) < length:
            raise ConnectionResetError("the client left in the middle of its request")
        return body

    def answer(self, status: int, headers: dict[str, str], *parts: bytes) -> None:
        """The whole answer; its end is the end of the connection."""
        self.begin(status, headers)
        for part in parts:
            self.wfile.write(part)

    def begin(self, status: int, headers: dict[str, str]) -> None:
        self.close_connection = True
        self.send_response_only(status)
        for name, value in {**headers, "connection": "close"}.items():
            self.send_header(name, value)
        self.end_headers()


class _Server(ThreadingHTTPServer):
    daemon_threads = False  # `server_close` waits for them

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that leaves in the middle is no failure of the server."""


@contextmanager
def serving(handler: type[Handler]) -> Iterator[int]:
    """Serve on a free port until left. Yields the port."""
    with _Server((HOST, 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), name=handler.__name__)
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()
