"""nginx with the configuration of the `replicas` profile, before live APIs. Needs nginx itself."""

import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import httpx2
import pytest
from openai import OpenAI
from openai.types.chat import ChatCompletionMessageParam

from llm_api.api.deps import set_services
from llm_api.api.draining import draining_of
from llm_api.api.policy import Access
from llm_api.api.wiring import create_api
from scripts.bench.process import free_port
from tests.api.bodies import chat
from tests.fakes import MODEL_ID, FakeBackend, FakeServices, endless, spoken
from tests.live import live_server, wait_until
from tests.scripts.docker.container import ROOT

CONFIGURATION = ROOT / "docker" / "nginx.conf"
CHAT = "/v1/chat/completions"
NGINX = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")

pytestmark = pytest.mark.skipif(NGINX is None, reason="nginx is not installed")


def command(folder: Path, configuration: Path, *arguments: str) -> list[str]:
    return [str(NGINX), "-e", "stderr", "-p", str(folder), "-c", str(configuration), *arguments]


@contextmanager
def nginx_before(*servers: str) -> Iterator[str]:
    """The configuration with addresses of this machine, served: its URL."""
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="nginx-") as folder:
        Path(folder).chmod(0o711)  # its workers are nobody
        text = CONFIGURATION.read_text(encoding="utf-8")
        addresses = "".join(f"server {urlsplit(url).netloc};" for url in servers)
        for ours, here in (
            ("listen 8080;", f"listen 127.0.0.1:{port};"),
            ("resolver 127.0.0.11", f"upstream replicas {{ {addresses} }}\nresolver 127.0.0.11"),
            ("http://$replica:8000", "http://replicas"),
            (" /tmp/", f" {folder}/"),
        ):
            assert ours in text
            text = text.replace(ours, here)
        configuration = Path(folder) / "nginx.conf"
        configuration.write_text(text, encoding="utf-8")
        serving = command(Path(folder), configuration, "-g", "daemon off;")
        process = subprocess.Popen(serving)  # noqa: S603 - Debian's own program
        try:
            url = f"http://127.0.0.1:{port}"
            wait_until(lambda: answers(url), 10)
            yield url
        finally:
            process.terminate()
            process.wait(10)


def answers(url: str) -> bool:
    try:
        return httpx2.get(f"{url}/health").status_code == 200
    except httpx2.TransportError:
        return False


@pytest.fixture
def proxied(base_url: str) -> Iterator[str]:
    with nginx_before(base_url) as url:
        yield url


def test_the_configuration_is_accepted(tmp_path: Path) -> None:
    done = subprocess.run(  # noqa: S603 - as above
        command(tmp_path, CONFIGURATION, "-t"), capture_output=True, text=True, check=False
    )
    assert "test is successful" in done.stderr, done.stderr


def test_events_pass_as_they_are_made(proxied: str, backend: FakeBackend) -> None:
    backend.script = lambda _: spoken(*["word "] * 5, pause_seconds=0.1)
    with httpx2.stream("POST", proxied + CHAT, json=chat(stream=True)) as response:
        moments = [time.monotonic() for line in response.iter_lines() if "word" in line]
    assert len(moments) == 5
    assert moments[-1] - moments[0] > 0.3, "they came together"


def test_a_client_that_leaves_ends_its_generation(proxied: str, backend: FakeBackend) -> None:
    backend.script = endless
    with httpx2.stream("POST", proxied + CHAT, json=chat(stream=True)) as response:
        next(response.iter_lines())
    wait_until(lambda: len(backend.aborted) == 1)


def test_a_large_body_passes(proxied: str, backend: FakeBackend) -> None:
    content = "word " * 400_000
    messages = [{"role": "user", "content": content}]
    assert httpx2.post(proxied + CHAT, json=chat(messages=messages)).status_code == 200
    [request] = backend.requests
    assert content in str(request)


def test_an_encoded_slash_arrives_as_it_was_sent(proxied: str) -> None:
    answer = httpx2.get(proxied + "/v1/models/owner%2Fname")
    assert "owner/name" in answer.json()["error"]["message"]


def test_the_official_sdk_talks_below_a_path_of_nginx(services: FakeServices) -> None:
    """This configuration hands the whole path on: ROOT_PATH takes it off."""
    app = create_api(version="0", access=Access(root_path="/llm"))
    set_services(app, services)
    with (
        live_server(app) as own_url,
        nginx_before(own_url) as url,
        OpenAI(base_url=f"{url}/llm/v1/", api_key="unused", max_retries=0) as sdk,
    ):
        messages: list[ChatCompletionMessageParam] = [{"role": "user", "content": "Hi"}]
        stream = sdk.chat.completions.create(model=MODEL_ID, messages=messages, stream=True)
        assert "".join(one.choices[0].delta.content or "" for one in stream) == "Hello world!"
        assert "/llm/openapi.json" in httpx2.get(f"{url}/llm/docs/").text


def test_what_clients_say_of_the_path_is_not_handed_on(proxied: str) -> None:
    page = httpx2.get(proxied + "/docs", headers={"x-forwarded-prefix": "/evil"})
    assert "evil" not in page.text


def test_what_an_ending_replica_refuses_goes_to_the_next_one(
    base_url: str, backend: FakeBackend, services: FakeServices
) -> None:
    ending = create_api(version="0")
    set_services(ending, services)
    with live_server(ending) as ending_url, nginx_before(ending_url, base_url) as url:
        draining_of(ending).has_begun = True
        assert httpx2.post(ending_url + CHAT, json=chat()).status_code == 503
        for _ in range(4):
            assert httpx2.post(url + CHAT, json=chat()).status_code == 200
    assert len(backend.requests) == 4
