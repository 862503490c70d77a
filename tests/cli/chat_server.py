"""A server that speaks just enough of the protocol, and misbehaves when told to."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from time import sleep
from typing import Any, cast


@dataclass(slots=True)
class ChatServer:
    """What the stand-in answers, and what it has been asked."""

    url: str = ""
    pieces: list[str] = field(default_factory=lambda: ["Hel", "lo."])
    finish_reason: str = "stop"
    error_frame: str | None = None  # sent after the pieces, instead of the end
    refusal: str | None = None  # answered with status 400
    is_cut: bool = False  # no [DONE]
    is_endless: bool = False
    status: int = 400  # of a refusal
    usage: dict[str, int] | None = None  # sent at the end
    progress: list[tuple[int, int]] = field(default_factory=list)  # tokens read, and of how many
    sources: list[str] = field(default_factory=list)  # documents
    asked: list[dict[str, Any]] = field(default_factory=list)
    authorization: str | None = None  # what the last question came with
    gone: threading.Event = field(default_factory=threading.Event)  # a client left in mid-answer


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, script: ChatServer) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.script = script


class _Handler(BaseHTTPRequestHandler):
    @property
    def script(self) -> ChatServer:
        return cast(_Server, self.server).script

    def log_message(self, format: str, *args: object) -> None:
        """Quiet."""

    def do_GET(self) -> None:
        self._json(200, {"object": "list", "data": [{"id": "tiny", "object": "model"}]})

    def do_POST(self) -> None:
        script = self.script
        script.authorization = self.headers["Authorization"]
        script.asked.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        if script.refusal is not None:
            error = {"message": script.refusal, "type": "x", "param": None, "code": None}
            self._json(script.status, {"error": error})
            return
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        try:
            self._stream(script)
        except OSError:
            script.gone.set()

    def _stream(self, script: ChatServer) -> None:
        self._choice({"role": "assistant", "content": ""})
        for read, total in script.progress:
            told = {"processed": read, "total": total, "place_in_queue": 0, "seconds_left": 1.5}
            empty = {"index": 0, "delta": {}, "finish_reason": None}
            self._frame(json.dumps({"choices": [empty], "prompt_progress": told}))
            sleep(0.15)
        for piece in script.pieces:
            self._choice({"content": piece})
        if script.sources:
            given = [{"number": n, "document_id": id} for n, id in enumerate(script.sources, 1)]
            self._choice({"rag": {"sources": given}})
        while script.is_endless:
            self._choice({"content": "."})
            sleep(0.02)
        if script.error_frame is not None:
            self._frame(json.dumps({"error": {"message": script.error_frame, "type": "x"}}))
        elif not script.is_cut:
            self._choice({}, script.finish_reason)
            if script.usage is not None:
                self._frame(json.dumps({"choices": [], "usage": script.usage}))
            self._frame("[DONE]")

    def _choice(self, delta: dict[str, Any], finish_reason: str | None = None) -> None:
        choice = {"index": 0, "delta": delta, "finish_reason": finish_reason}
        self._frame(json.dumps({"object": "chat.completion.chunk", "choices": [choice]}))

    def _frame(self, data: str) -> None:
        self.wfile.write(f": ping\n\ndata: {data}\n\n".encode())

    def _json(self, status: int, value: object) -> None:
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@contextmanager
def running_chat_server() -> Iterator[ChatServer]:
    """The stand-in on a free port, until the end of the block."""
    script = ChatServer()
    server = _Server(script)
    script.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield script
    finally:
        script.is_endless = False
        server.shutdown()
        server.server_close()
        thread.join()
