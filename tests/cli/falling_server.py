"""A server, or hub, that may say which models it has, and embed, and else fails as it is told."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final, Literal, TypeAlias, cast

Part: TypeAlias = Literal["models", "embeddings"]
BOTH: Final[frozenset[Part]] = frozenset({"models", "embeddings"})
Fall: TypeAlias = Literal["is silent", "hangs up", "breaks off"]
_DIMENSION = 8


class FallingServer(ThreadingHTTPServer):
    """`asked` is set by what it does not answer: all but what it `answers`."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.fall: Fall = "is silent"
        self.answers: frozenset[Part] = BOTH
        self.asked = threading.Event()
        self.released = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that went away is what tests are about."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: object) -> None:
        """Quiet."""

    def do_HEAD(self) -> None:
        self._fall({})

    def do_GET(self) -> None:
        kinds = (("tiny", "chat"), ("words", "embedding"))
        server = cast(FallingServer, self.server)
        if self.path == "/v1/models" and "models" in server.answers:
            self._json({"data": [{"id": id, "type": kind} for id, kind in kinds]})
        elif self.path == "/info":  # of text-embeddings-inference, which cuts long texts if asked
            self._json({"model_id": "words", "max_input_length": 512})
        else:
            self._fall({})

    def do_DELETE(self) -> None:
        self._fall({})

    def do_POST(self) -> None:
        data = self.rfile.read(int(self.headers["Content-Length"]))
        is_json = self.headers["Content-Type"] == "application/json"
        body: dict[str, Any] = json.loads(data) if is_json else {}
        server = cast(FallingServer, self.server)
        if self.path == "/embed" and "embeddings" in server.answers:
            self._json([[1.0] + [0.0] * (_DIMENSION - 1) for _ in body["inputs"]])
        elif self.path == "/tokenize" and "embeddings" in server.answers:
            self._json([[{"id": 1}] for _ in body["inputs"]])
        else:
            self._fall(body)

    def _fall(self, body: dict[str, Any]) -> None:
        server = cast(FallingServer, self.server)
        self.close_connection = True
        server.asked.set()
        match server.fall:
            case "is silent":
                server.released.wait(60)
            case "hangs up":
                pass
            case "breaks off" if body.get("stream"):
                self.send_response(200)
                self.send_header("Content-Type", "text/event-stream")
                self.end_headers()
                said = {"text": "The riv", "choices": [{"delta": {"content": "The riv"}}]}
                self.wfile.write(f"data: {json.dumps(said)}\n\n".encode())
            case "breaks off":
                self.send_response(200)
                self.send_header("Content-Length", "1000")
                self.end_headers()
                self.wfile.write(b'{"data": [')

    def _json(self, value: object) -> None:
        body = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@contextmanager
def falling_server() -> Iterator[FallingServer]:
    """On a free port, until the end of the block."""
    server = FallingServer()
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield server
    finally:
        server.released.set()
        server.shutdown()
        server.server_close()
        thread.join()
