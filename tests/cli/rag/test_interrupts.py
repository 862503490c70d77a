"""An ingest that is interrupted, or whose server dies: what it says, on terminals and in pipes."""

import json
import signal
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.api.rag.conftest import Served, numbers, served
from tests.cli.here import Run, run
from tests.cli.terminal import plain, terminal
from tests.live import PATIENCE_SECONDS

__all__ = ["run", "served"]

GOES_ON = "the same command again goes on with the rest."


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "docs"
    folder.mkdir()
    for number in range(3):
        (folder / f"{number}.md").write_text(f"words of {number}")
    return folder


def test_ctrl_c_says_what_is_stored_and_that_a_rerun_goes_on(served: Served, folder: Path) -> None:
    named = ("--url", served.url, "--collection", f"cli-{next(numbers)}")
    served.embedder.seconds = 60
    try:
        with terminal(
            folder.parent, "ingest", "docs", *named, width=60, term="xterm-256color"
        ) as person:
            seen = plain(person.until(" chunks, 0 of 3 files"))
            assert "storing" in seen
            person.process.send_signal(signal.SIGINT)
            said = " ".join(plain(person.rest()).split())
            assert f"Interrupted. 0 of 3 files are stored; {GOES_ON}" in said
            assert person.process.wait(PATIENCE_SECONDS) == 130
    finally:
        served.embedder.seconds = 0


class _Dying(BaseHTTPRequestHandler):
    """Compares, and breaks off when it is sent files."""

    def log_message(self, format: str, *args: object) -> None:
        """Quiet."""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.path != "/v1/rag/sync":
            self.close_connection = True
            return
        new = [one["path"] for one in json.loads(body)["files"]]
        said = {"new": new, "changed": [], "running": [], "failed": [], "gone": []}
        answer = json.dumps({**said, "unchanged": 0, "deleted": 0}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)


@pytest.fixture
def dying() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Dying)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def test_dying_server_is_one_sentence_that_says_so_too(dying: str, folder: Path, run: Run) -> None:
    code, said, told = run("ingest", str(folder), "--url", dying)
    assert (code, said) == (1, "")
    (line,) = told.splitlines()
    assert line.startswith(f"Error: The connection to {dying} failed: ")
    assert line.endswith(f" 0 of 3 files are stored; {GOES_ON}")
