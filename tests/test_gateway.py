"""A gateway before two servers, one of which is killed while both are busy."""

import asyncio
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx2
import pytest

from llm_api.config.settings import Settings, load_settings
from llm_api.main import create_app
from tests.cli.command import environment
from tests.exposition import Scrape
from tests.fakes import MODEL_ID
from tests.live import live_server, wait_until

pytestmark = pytest.mark.long

WORDS = " ".join(f"word{index}" for index in range(40))
MESSAGES = [{"role": "user", "content": WORDS}]


@pytest.fixture(autouse=True)
def _bare_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.chdir(tmp_path)


class Served:
    """A server as a process that can be killed. Its first line begins with its address."""

    def __init__(self, folder: Path, *command: str) -> None:
        self.process = subprocess.Popen(  # noqa: S603 - our own interpreter
            [sys.executable, "-m", *command],
            cwd=folder,
            env=environment(LLM_BACKEND="stub", EMBEDDING_BACKEND="none"),
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self.process.stderr is not None
        self.url = self.process.stderr.readline().split(" ")[0]

    def kill(self, by: signal.Signals = signal.SIGKILL) -> int:
        self.process.send_signal(by)
        status = self.process.wait(30)
        assert self.process.stderr is not None
        self.process.stderr.close()
        return status


@contextmanager
def served(folder: Path, *command: str) -> Iterator[Served]:
    server = Served(folder, *command)
    try:
        yield server
    finally:
        if server.process.poll() is None:
            server.kill()


STUB = ("llm_api", "serve", "--port", "0")


@contextmanager
def gateway(model: str, *replicas: str) -> Iterator[str]:
    listed = ", ".join(f"{{url: {url}}}" for url in replicas)
    entry = f"backend: openai, model: {model}, replicas: [{listed}], fallbacks: [stub]"
    Path("models.yaml").write_text(f"models: {{echo: {{{entry}}}}}")
    with live_server(create_app(load_settings(config_file="models.yaml"))) as url:
        yield url


class Load:
    """Clients that ask again and again, half of them for streams, and count how it ended."""

    def __init__(self, url: str) -> None:
        self._http = httpx2.AsyncClient(base_url=url, timeout=30)
        self.outcomes: Counter[str] = Counter()
        self.is_over = False

    async def run(self, clients: int) -> None:
        async with self._http, asyncio.TaskGroup() as group:
            for index in range(clients):
                group.create_task(self._client(is_streamed=index % 2 == 0))
                # Out of step with each other, so that at any moment some are in mid-answer.
                await asyncio.sleep(0.015)

    async def _client(self, *, is_streamed: bool) -> None:
        body = {"model": "echo", "messages": MESSAGES, "stream": is_streamed}
        while not self.is_over:
            async with self._http.stream("POST", "/v1/chat/completions", json=body) as response:
                text = (await response.aread()).decode()
            self.outcomes[self._outcome(response, text, is_streamed)] += 1

    @staticmethod
    def _outcome(response: httpx2.Response, text: str, is_streamed: bool) -> str:
        if response.status_code != 200:
            return f"status {response.status_code}"
        if "x-llm-api-fallback" in response.headers:
            return "fallback"
        if is_streamed and not text.endswith("data: [DONE]\n\n"):
            return "cut after it began"
        return "answered"


@pytest.mark.timeout(120)
async def test_a_replica_killed_under_load_fails_no_request_that_has_not_begun(
    tmp_path: Path,
) -> None:
    with ExitStack() as stack:
        doomed, other = (
            stack.enter_context(served(tmp_path, "tests.slow_server")) for _ in range(2)
        )
        url = stack.enter_context(gateway(MODEL_ID, doomed.url, other.url))
        load = Load(url)
        running = asyncio.create_task(load.run(16))
        while load.outcomes["answered"] < 100:
            await asyncio.sleep(0.01)
        await asyncio.to_thread(doomed.kill)
        before = load.outcomes["answered"]
        while load.outcomes["answered"] < before + 100:
            await asyncio.sleep(0.01)
        load.is_over = True
        await running
    # Streams alone were cut, no more than ran at that moment; nobody saw an error instead.
    assert load.outcomes.keys() <= {"answered", "cut after it began"}
    assert load.outcomes["cut after it began"] <= 8


@pytest.mark.timeout(120)
def test_when_no_replica_is_left_the_stub_answers_and_says_so(tmp_path: Path) -> None:
    with served(tmp_path, *STUB) as only, gateway("stub", only.url) as url:
        body = {"model": "echo", "messages": MESSAGES}
        with httpx2.Client(base_url=url) as http:
            before = http.post("/v1/chat/completions", json=body)
            only.kill()
            after = http.post("/v1/chat/completions", json=body)
    assert (before.headers["x-llm-api-backend"], before.json()["model"]) == ("openai", "echo")
    assert "x-llm-api-fallback" not in before.headers
    assert after.headers["x-llm-api-backend"] == "stub"
    assert after.headers["x-llm-api-fallback"] == "stub"
    assert after.json()["model"] == "stub"
    for answer in (before, after):
        assert answer.json()["choices"][0]["message"]["content"] == WORDS


def children_of(process: int) -> set[int]:
    text = Path(f"/proc/{process}/task/{process}/children").read_text()
    return {int(child) for child in text.split()}


@pytest.mark.timeout(120)
def test_several_workers_answer_behind_one_address_and_end_together(tmp_path: Path) -> None:
    with served(tmp_path, *STUB, "--workers", "2") as server:
        workers = children_of(server.process.pid)
        assert len(workers) >= 2  # and what Python itself starts beside them
        body = {"model": "stub", "messages": MESSAGES}
        for _ in range(4):
            answer = httpx2.post(f"{server.url}/v1/chat/completions", json=body)
            assert answer.json()["choices"][0]["message"]["content"] == WORDS
        assert server.kill(signal.SIGINT) == 0
        wait_until(lambda: not any(Path(f"/proc/{worker}").exists() for worker in workers))


def workers_of(server: Served) -> set[str]:
    """Whose counts are told by whichever answers."""
    seen = Scrape(httpx2.get(f"{server.url}/metrics").text)
    return {labels["worker"] for labels, _ in seen.samples("llm_api_ready")}


@pytest.mark.timeout(120)
def test_one_of_several_workers_tells_what_all_have_counted(tmp_path: Path) -> None:
    with served(tmp_path, *STUB, "--workers", "2") as server:
        wait_until(lambda: len(workers_of(server)) == 2)
        workers = workers_of(server)
        assert server.kill(signal.SIGTERM) == 0
    assert {Path(f"/proc/{worker}").exists() for worker in workers} == {False}


def test_several_workers_are_refused_with_an_engine_of_their_own(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "llm_api", "serve", "--workers", "2"],
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr == (
        "Error: WORKERS: must be 1, not 2: the model runs in this process (llama), and every worker"
        " would load it again and compute at the others' cost\n"
    )
