"""Two names on one model file: one is loaded at the start, the other when it is asked for."""

from collections.abc import Iterator
from contextlib import closing
from typing import Any

import httpx2
import pytest

from llm_api.config.settings import load_settings
from llm_api.main import create_app
from tests.live import live_server, wait_until

FILE = """
idle_seconds: 1
models:
  - {name: first, default: true, load: startup, parallel: 1, context_length: 512}
  - name: second
    default: true
    aliases: [other]
    parallel: 1
    context_length: 128
    max_tokens: 3
"""


@pytest.fixture(scope="module")
def several(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx2.Client]:
    path = tmp_path_factory.mktemp("several") / "models.yaml"
    path.write_text(FILE)
    app = create_app(load_settings(config_file=path))
    with live_server(app) as url, httpx2.Client(base_url=url, timeout=60) as client:
        wait_until(lambda: client.get("/health/ready").status_code == 200, seconds=60)
        yield client


def state(client: httpx2.Client, name: str) -> str:
    return str(client.get(f"/v1/models/{name}").json()["state"])


def complete(client: httpx2.Client, model: str, **fields: object) -> dict[str, Any]:
    body = {"model": model, "prompt": "Once upon a time", "ignore_eos": True, **fields}
    response = client.post("/v1/completions", json=body)
    assert response.status_code == 200, response.text
    answer: dict[str, Any] = response.json()
    return answer


def test_all_models_are_listed_and_only_those_of_the_start_are_loaded(
    several: httpx2.Client,
) -> None:
    first, second, _embedder = several.get("/v1/models").json()["data"]
    assert (first["id"], first["context_length"], first["aliases"]) == ("first", 512, [])
    assert (second["id"], second["context_length"], second["aliases"]) == ("second", 128, ["other"])
    assert (second["loaded"], second["state"]) == (False, "unloaded")


def test_a_model_is_loaded_by_its_first_request_leaves_when_idle_and_comes_back(
    several: httpx2.Client,
) -> None:
    # Its own default length, and the id whatever name it was asked by.
    answer = complete(several, "other")
    assert (answer["model"], answer["usage"]["completion_tokens"]) == ("second", 3)

    body = {"model": "second", "prompt": "Once", "ignore_eos": True, "max_tokens": 90}
    with several.stream("POST", "/v1/completions", json={**body, "stream": True}) as stream:
        lines = stream.iter_lines()
        next(lines)
        with closing(httpx2.Client(base_url=several.base_url)) as other:
            assert state(other, "second") == "loaded"
        assert list(lines)[-2] == "data: [DONE]"

    wait_until(lambda: state(several, "second") == "unloaded", seconds=30)
    wait_until(lambda: state(several, "first") == "unloaded", seconds=30)
    assert several.get("/health/ready").status_code == 200
    assert complete(several, "second")["usage"]["completion_tokens"] == 3
    assert complete(several, "first", max_tokens=5)["usage"]["completion_tokens"] == 5


def test_each_model_has_its_own_context(several: httpx2.Client) -> None:
    prompt = "word " * 200
    body = {"model": "second", "prompt": prompt, "max_tokens": 1}
    assert several.post("/v1/completions", json={**body, "model": "first"}).status_code == 200
    refused = several.post("/v1/completions", json=body)
    assert refused.status_code == 400
    assert refused.json()["error"]["code"] == "context_length_exceeded"


def test_an_unknown_model_is_told_every_name(several: httpx2.Client) -> None:
    response = several.post("/v1/completions", json={"model": "third", "prompt": "x"})
    assert response.status_code == 404
    error = response.json()["error"]
    assert error["code"] == "model_not_found"
    assert all(f"`{name}`" in error["message"] for name in ("first", "second", "other"))
