"""The client that people run after a deployment: what passes, what fails, and what is skipped."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest
from fastapi import FastAPI

from llm_api.api.wiring import create_api
from llm_api.core.errors import GenerationError
from scripts.client_demo import CHECKS, Outcome, try_all
from tests.fakes import FakeBackend, FakeServices, spoken

SCRIPT = Path(__file__).parent.parent.parent / "scripts" / "client_demo.py"


@pytest.fixture
def http(base_url: str) -> Iterator[httpx2.Client]:
    with httpx2.Client(base_url=base_url, timeout=10) as http:
        yield http


def outcomes(http: httpx2.Client) -> dict[str, Outcome]:
    return {outcome.endpoint: outcome for outcome in try_all(http)}


def test_every_endpoint_has_a_check() -> None:
    paths = create_api(version="0").openapi()["paths"]
    endpoints = {f"{method.upper()} {path}" for path in paths for method in paths[path]}
    assert endpoints | {"POST /mcp"} == CHECKS.keys()


EMBEDDING = (
    "POST /v1/embeddings",
    "POST /api/embed",
    "POST /api/embeddings",
    "POST /v1/rerank",
    "POST /embed",
    "GET /info",
)


def test_what_is_not_served_is_skipped_with_the_reason(
    http: httpx2.Client, services: FakeServices
) -> None:
    services.embedders = type(services.embedders)([])
    found = outcomes(http)
    skipped = {endpoint: one.detail for endpoint, one in found.items() if one.result == "skipped"}
    documents = {one for one in CHECKS if "/v1/rag/" in one or "/v1/vector_stores" in one}
    assert skipped == {
        **dict.fromkeys([*documents, *EMBEDDING], "no embedding model is served"),
        "GET /v1/functions/{name}": "there is no function get_weekday",
        "POST /v1/functions/{name}": "there is no function get_weekday",
    }
    assert {one.result for one in found.values()} == {"passed", "skipped"}
    assert found["POST /chat/stream"].detail == "3 pieces: 'Hello world!'"


def test_an_endpoint_that_fails_is_told_in_the_server_s_words(
    http: httpx2.Client, backend: FakeBackend
) -> None:
    backend.script = lambda _: [GenerationError("The engine failed.")]
    found = outcomes(http)
    for endpoint in ("POST /generate", "POST /chat", "POST /chat/stream", "POST /v1/completions"):
        assert (found[endpoint].result, found[endpoint].detail) == (
            "failed",
            "500: The engine failed.",
        )
    assert found["GET /health"].result == "passed"


def test_a_text_that_breaks_off_is_a_failure(http: httpx2.Client, backend: FakeBackend) -> None:
    backend.script = lambda _: spoken("Hel")[:-1]
    found = outcomes(http)
    assert found["POST /chat/stream"].result == "failed"
    assert found["POST /v1/chat/completions"].result == "failed"


async def nothing() -> None:
    """An endpoint of a later version."""


def test_an_older_server_and_a_newer_one_are_told(app: FastAPI, http: httpx2.Client) -> None:
    app.add_api_route("/brand/new", nothing, methods=["GET"])
    schema = app.openapi()
    del schema["paths"]["/config"]
    found = outcomes(http)
    assert found["GET /config"] == Outcome("GET /config", "skipped", "not served")
    assert found["GET /brand/new"].detail == "this client does not know it"


def run(url: str, *options: str) -> subprocess.CompletedProcess[str]:
    """The script as people run it, from a folder where there is nothing else to import."""
    return subprocess.run(  # noqa: S603 - our own script
        [sys.executable, "-P", str(SCRIPT), "--base-url", url, *options],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd="/",
        env={"PATH": "/usr/bin", "NO_PROXY": "*"},
    )


def test_the_table_ends_in_a_sum_and_a_failure_in_exit_code_1(
    base_url: str, services: FakeServices, backend: FakeBackend
) -> None:
    done = run(base_url, "--api-key", "sesame")
    assert "failed" in done.stdout  # documents: this server has an embedder and no store
    assert done.returncode == 1, done.stdout + done.stderr
    services.embedders = type(services.embedders)([])
    done = run(base_url)
    assert done.returncode == 0, done.stdout + done.stderr
    assert " 0 failed, " in done.stdout.splitlines()[-1]
    assert "sesame" not in done.stdout


def test_a_server_that_is_not_there_is_a_failure() -> None:
    done = run("http://127.0.0.1:9")
    assert done.returncode == 1
    assert done.stdout.splitlines()[-1] == "0 passed, 1 failed, 0 skipped"
