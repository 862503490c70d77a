"""Grammars made to do harm, by eight clients at once: others are served, and the server can end."""

import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx2
import pytest

from llm_api.core.llm.files.installed import default_model_path
from tests.cli.command import environment
from tests.live import wait_until
from tests.served.conftest import MODEL

pytestmark = pytest.mark.long

DRAIN_SECONDS = 3
ENDING_SECONDS = 60
"""A second or two, on a machine that does nothing else."""

CLIENTS = 8

DOUBLING = {
    "grammar": "root ::= r0\n"
    + "".join(f"r{i} ::= r{i + 1} r{i + 1}\n" for i in range(2000))
    + 'r2000 ::= "a"\n'
}
MANY_PROPERTIES = {"type": "object", "properties": {f"p{i}": {} for i in range(2500)}}
BOMBS: dict[str, dict[str, Any]] = {
    "rules that double": DOUBLING,
    "a long pattern": {"guided_json": {"type": "string", "pattern": "a" * 5_000_000}},
    "many properties": {"guided_json": MANY_PROPERTIES},
    "text that is forced": {
        "guided_json": {"type": "array", "minItems": 1000, "items": {"const": "x" * 1000}}
    },
    "four ways at each point": {"grammar": 'start: s\ns: s s s s | "a" | ""\n'},
}


class Served:
    """A server with the default model, as a process that can be ended."""

    def __init__(self, folder: Path) -> None:
        self._said = folder / "stderr"
        settings = {"LLM_BACKEND": "llama", "MODEL_PATH": str(default_model_path())}
        with self._said.open("w") as said:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "llm_api", "serve", "--port", "0"],
                cwd=folder,
                env=environment(
                    EMBEDDING_BACKEND="none",
                    CONTEXT_LENGTH="1024",
                    PARALLEL="4",
                    DRAIN_SECONDS=str(DRAIN_SECONDS),
                    RUST_BACKTRACE="1",  # where it is set, a refusal must not take a minute
                    **settings,
                ),
                stderr=said,
            )

    @property
    def url(self) -> str:
        """Where it is reached; "" while it begins."""
        lines = self._said.read_text().splitlines()
        return next((line.split(" ")[0] for line in lines if " serves " in line), "")

    def end(self) -> int:
        """Send SIGTERM. The exit status."""
        self._process.send_signal(signal.SIGTERM)
        return self._process.wait(DRAIN_SECONDS + ENDING_SECONDS)

    def close(self) -> None:
        self._process.kill()
        self._process.wait()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Served]:
    served = Served(tmp_path)
    try:
        wait_until(lambda: bool(served.url), seconds=60)
        yield served
    finally:
        served.close()


def ask(url: str, **demanded: object) -> httpx2.Response:
    if "guided_json" in demanded:
        schema = {"name": "x", "schema": demanded.pop("guided_json")}
        demanded["response_format"] = {"type": "json_schema", "json_schema": schema}
    messages = [{"role": "user", "content": "Say yes."}]
    body = {"model": MODEL, "messages": messages, "max_tokens": 32, **demanded}
    return httpx2.post(f"{url}/v1/chat/completions", json=body, timeout=60)


@pytest.mark.parametrize("bomb", BOMBS.values(), ids=BOMBS)
def test_others_are_served_beside_hostile_grammars_and_the_server_ends(
    server: Served, bomb: dict[str, Any]
) -> None:
    stops = threading.Event()

    def attack() -> set[str]:
        """The codes of the refusals."""
        codes = set()
        while not stops.is_set():
            with suppress(httpx2.HTTPError):
                answer = ask(server.url, **bomb)
                codes.add("" if answer.is_success else answer.json()["error"]["code"])
        return codes

    with ThreadPoolExecutor(CLIENTS) as clients:
        attacks = [clients.submit(attack) for _ in range(CLIENTS)]
        try:
            for _ in range(2):
                assert ask(server.url).status_code == 200
                assert "llm_api_requests_total" in httpx2.get(f"{server.url}/metrics").text
                assert httpx2.get(f"{server.url}/health/ready").status_code == 200
            assert server.end() == 0
        finally:
            stops.set()
    codes = set[str]().union(*(attack.result() for attack in attacks))
    assert codes <= {"", "invalid_request", "queue_full", "model_unavailable"}
