"""`llm-api serve` on a terminal: what it serves and how to call it, then each request."""

import signal
from pathlib import Path

import httpx2

from tests.cli.terminal import terminal
from tests.live import PATIENCE_SECONDS


def test_terminal_says_how_to_call_it_and_shows_requests(tmp_path: Path) -> None:
    with terminal(
        tmp_path, "serve", "--port", "0", width=60, LLM_BACKEND="stub", EMBEDDING_BACKEND="none"
    ) as person:
        person.until("serves  ")
        assert "stub" in person.until("page    ")
        url = person.until("/\r\n").strip()
        assert "llm-api chat --url" in person.until("call    ")
        assert f"curl {url}/v1/chat/completions --json" in person.until("Ctrl-C").replace(
            "\r\n", ""
        )
        body = {"model": "stub", "messages": [{"role": "user", "content": "Hi"}]}
        assert httpx2.post(f"{url}/v1/chat/completions", json=body).is_success
        said = person.until("tokens")
        assert "POST /v1/chat/completions 200 in" in said
        assert "stub" in said
        assert "request_id" not in said
        assert httpx2.get(f"{url}/v1/nothing?key=secret").status_code == 404
        assert "secret" not in person.until("GET /v1/nothing 404 in")
        person.process.send_signal(signal.SIGINT)
        assert person.process.wait(PATIENCE_SECONDS) == 130
