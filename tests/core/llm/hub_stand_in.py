"""A model hub on this machine: the routes that `huggingface_hub` uses, and the ways they fail.

Answers as the real hub does for a large file: the first address redirects to a storage address,
and the redirect itself carries the commit, the size and the SHA-256.
"""

import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from time import sleep
from typing import cast
from urllib.parse import parse_qs, urlsplit

COMMIT = "0123456789abcdef0123456789abcdef01234567"
TOKEN = "hf_of_the_test"
CHUNK_BYTES = 256 * 1024

_RESOLVE = re.compile(r"/(?P<repo>[^/]+/[^/]+)/resolve/(?P<revision>[^/]+)/(?P<file>.+)")
_STORAGE = re.compile(r"/storage/(?P<repo>[^/]+/[^/]+)/(?P<file>.+)")
_INFO = re.compile(r"/api/models/(?P<repo>[^/]+/[^/]+)(/revision/(?P<revision>[^/]+))?")
_TREE = re.compile(r"/api/models/(?P<repo>[^/]+/[^/]+)/tree/.+")


@dataclass(slots=True)
class Faults:
    """What goes wrong. Set between two pulls, or before the first."""

    cut_after: int | None = None  # close the connection after so many bytes of a body
    fail_storage_after: int | None = None  # answer 503 from this number of transfers on
    corrupted: bool = False  # one byte of the body differs
    gated: bool = False
    status: int | None = None  # answer everything so
    claimed_size: int | None = None
    ignores_ranges: bool = False
    seconds_per_chunk: float = 0.0


@dataclass(slots=True)
class Hub:
    """What the stand-in has, does and has seen. `files` are keyed by (repository, file)."""

    endpoint: str = ""
    files: dict[tuple[str, str], bytes] = field(default_factory=dict)
    faults: Faults = field(default_factory=Faults)
    requests: list[str] = field(default_factory=list)
    ranges: list[str | None] = field(default_factory=list)
    body_bytes_sent: int = 0

    @property
    def transfers(self) -> int:
        return len(self.ranges)


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, hub: Hub) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.hub = hub

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that went away is what some tests are about."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    @property
    def hub(self) -> Hub:
        return cast(_Server, self.server).hub

    def log_message(self, format: str, *args: object) -> None:
        """Quiet: the tests read `Hub.requests`."""

    def do_HEAD(self) -> None:
        self._route()

    def do_GET(self) -> None:
        self._route()

    def _route(self) -> None:
        hub = self.hub
        hub.requests.append(f"{self.command} {self.path}")
        path = self.path.partition("?")[0]
        if hub.faults.status is not None:
            self._answer(hub.faults.status)
        elif found := _STORAGE.fullmatch(path):
            self._transfer(hub.files[found["repo"], found["file"]])
        elif found := _RESOLVE.fullmatch(path):
            self._resolve(found["repo"], found["file"])
        elif path == "/api/models":
            self._search(parse_qs(urlsplit(self.path).query).get("search", [""])[0])
        elif found := _TREE.fullmatch(path):
            self._tree(found["repo"])
        elif found := _INFO.fullmatch(path):
            self._info(found["repo"], found["revision"] or "main")
        else:
            self._answer(404)

    def _resolve(self, repo: str, file: str) -> None:
        hub = self.hub
        if repo not in {name for name, _ in hub.files}:
            # The real hub does not tell the unknown from the private.
            self._answer(401, {"X-Error-Code": "RepoNotFound"})
        elif (repo, file) not in hub.files:
            self._answer(404, {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": COMMIT})
        elif hub.faults.gated and self.headers.get("Authorization") != f"Bearer {TOKEN}":
            self._answer(401, {"X-Error-Code": "GatedRepo"})
        else:
            data = hub.files[repo, file]
            self._answer(
                302,
                {
                    "Location": f"/storage/{repo}/{file}",
                    "X-Repo-Commit": COMMIT,
                    "X-Linked-Size": str(hub.faults.claimed_size or len(data)),
                    "X-Linked-Etag": f'"{hashlib.sha256(data).hexdigest()}"',
                    "ETag": '"the redirect has its own"',
                },
            )

    def _info(self, repo: str, revision: str) -> None:
        names = [file for name, file in self.hub.files if name == repo]
        if not names:
            self._answer(401, {"X-Error-Code": "RepoNotFound"})
        elif revision not in ("main", COMMIT):
            self._answer(404, {"X-Error-Code": "RevisionNotFound"})
        else:
            siblings = [{"rfilename": name} for name in names]
            body = json.dumps({"id": repo, "sha": COMMIT, "siblings": siblings}).encode()
            self._answer(200, {"Content-Type": "application/json"}, body)

    def _search(self, words: str) -> None:
        names = sorted({name for name, _ in self.hub.files})
        wanted = words.lower().split()
        found = [one for one in names if all(word in one.lower() for word in wanted)]
        listed = [{"id": one, "downloads": 1000 - n, "likes": n} for n, one in enumerate(found)]
        self._answer(200, {"Content-Type": "application/json"}, json.dumps(listed).encode())

    def _tree(self, repo: str) -> None:
        entries = [
            {"type": "file", "path": file, "size": len(data), "oid": "0" * 40}
            for (name, file), data in self.hub.files.items()
            if name == repo
        ]
        if not entries:
            self._answer(401, {"X-Error-Code": "RepoNotFound"})
            return
        self._answer(200, {"Content-Type": "application/json"}, json.dumps(entries).encode())

    def _transfer(self, data: bytes) -> None:
        hub = self.hub
        if self.command == "HEAD":
            # The commit and the hash come with a redirect within one host as well.
            self._answer(200, self._identity(data), head_size=hub.faults.claimed_size or len(data))
            return
        hub.ranges.append(self.headers.get("Range"))
        if hub.faults.fail_storage_after is not None and (
            hub.transfers > hub.faults.fail_storage_after
        ):
            self._answer(503)
            return
        if hub.faults.corrupted:
            data = data[:-1] + bytes([data[-1] ^ 1])
        start = 0
        asked = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        if asked and not hub.faults.ignores_ranges:
            start = int(asked[1])
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
        self.send_header("Content-Length", str(len(data) - start))
        self.end_headers()
        self._send_body(data[start:])

    def _send_body(self, body: bytes) -> None:
        hub = self.hub
        limit = len(body) if hub.faults.cut_after is None else hub.faults.cut_after
        for position in range(0, min(limit, len(body)), CHUNK_BYTES):
            piece = body[position : min(position + CHUNK_BYTES, limit)]
            self.wfile.write(piece)
            hub.body_bytes_sent += len(piece)
            sleep(hub.faults.seconds_per_chunk)
        if limit < len(body):
            self.close_connection = True

    def _identity(self, data: bytes) -> dict[str, str]:
        return {"X-Repo-Commit": COMMIT, "ETag": f'"{hashlib.sha256(data).hexdigest()}"'}

    def _answer(
        self,
        status: int,
        headers: dict[str, str] | None = None,
        body: bytes = b"",
        head_size: int | None = None,
    ) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body) if head_size is None else head_size))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


@contextmanager
def running_hub() -> Iterator[Hub]:
    """The stand-in on a free port, until the end of the block."""
    hub = Hub()
    server = _Server(hub)
    hub.endpoint = f"http://127.0.0.1:{server.server_port}"
    # The default half second would be added to every test.
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
