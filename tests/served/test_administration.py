"""Models over HTTP: pulled from a hub, loaded, unloaded and deleted in a server that runs."""

import hashlib
import json
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest

from llm_api.config.keys_file import hash_text
from llm_api.config.settings import load_settings
from llm_api.core.access.keys import digest_of
from llm_api.main import create_app
from tests.core.llm.hub_stand_in import Hub, running_hub
from tests.core.llm.tiny_gguf import large_gguf_bytes
from tests.core.llm.tiny_models import PLAIN
from tests.live import live_server, wait_until

REPO, FILE, ID = "owner/tiny-GGUF", "tiny-Q8_0.gguf", "tiny-Q8_0"
KEYS = """
keys:
  - {name: root, hash: "DIGEST_OF_ROOT", scopes: [generate, admin]}
  - {name: user, hash: "DIGEST_OF_USER", scopes: [generate]}
"""
ORDERS = [
    ("POST", "/v1/models/load", {"model": "stub"}),
    ("POST", "/v1/models/unload", {"model": "stub"}),
    ("POST", "/v1/models/pull", {"model": REPO}),
    ("GET", "/v1/models/pull", None),
    ("POST", "/v1/models/pull/pull_1/cancel", None),
    ("DELETE", "/v1/models/stub", None),
    ("POST", "/api/pull", {"model": REPO}),
    ("DELETE", "/api/delete", {"model": "stub"}),
    ("POST", "/api/copy", {"source": "stub", "destination": "gpt-4"}),
]


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    with running_hub() as hub, pytest.MonkeyPatch.context() as patch:
        patch.setenv("HF_ENDPOINT", hub.endpoint)
        hub.files[REPO, FILE] = PLAIN.write(tmp_path_factory.mktemp("hub")).read_bytes()
        yield hub


@pytest.fixture(scope="module")
def base_url(hub: Hub, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("server")
    keys = folder / "keys.yaml"
    text = KEYS
    for name in ("root", "user"):
        text = text.replace(f"DIGEST_OF_{name.upper()}", hash_text(digest_of(name)))
    keys.write_text(text)
    settings = load_settings(
        llm_backend="stub",
        embedding_backend="none",
        api_keys_file=keys,
        data_dir=folder / "data",
        models_dir=folder / "models",
        context_length=256,
        parallel=2,
    )
    with live_server(create_app(settings)) as url:
        yield url


@pytest.fixture
def root(base_url: str) -> Iterator[httpx2.Client]:
    headers = {"authorization": "Bearer root"}
    with httpx2.Client(base_url=base_url, headers=headers, timeout=60) as client:
        yield client


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def code_of(answer: httpx2.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["code"]


def entry(client: httpx2.Client, name: str = ID) -> dict[str, Any]:
    answer = client.get(f"/v1/models/{name}")
    assert answer.is_success
    found: dict[str, Any] = answer.json()
    return found


def test_model_is_pulled_served_loaded_unloaded_and_deleted(root: httpx2.Client, hub: Hub) -> None:
    asked = root.post("/v1/models/pull", json={"model": f"hf.co/{REPO}:Q8_0"})
    assert asked.status_code == 202
    size = len(hub.files[REPO, FILE])
    place = asked.headers["location"]
    wait_until(lambda: root.get(place).json()["state"] not in ("queued", "running"))
    pull = root.get(place).json()
    assert (pull["state"], pull["served_as"], pull["error"]) == ("done", ID, None)
    assert (pull["bytes_done"], pull["bytes_total"]) == (size, size)
    assert root.get("/v1/models/pull").json()["data"] == [pull]

    found = entry(root, f"{REPO}/{FILE}")
    assert (found["id"], found["size_bytes"], found["loaded"]) == (ID, size, False)
    assert found["context_length"] == 256
    load = root.post("/v1/models/load", json={"model": ID, "pinned": True}).json()
    assert (load["loaded"], load["pinned"]) == (True, True)
    body = {"model": ID, "prompt": "Hello", "max_tokens": 4}
    assert root.post("/v1/completions", json=body).json()["usage"]["completion_tokens"] > 0

    assert code_of(root.delete(f"/v1/models/{ID}")) == (409, "model_in_use")
    unload = root.post("/v1/models/unload", json={"model": ID}).json()
    assert (unload["loaded"], unload["pinned"]) == (False, False)
    gone = root.delete(f"/v1/models/{REPO}/{FILE}")
    assert gone.json() == {"id": ID, "object": "model", "deleted": True, "freed_bytes": size}
    assert root.get(f"/v1/models/{ID}").status_code == 404
    assert code_of(root.post("/v1/completions", json=body)) == (404, "model_not_found")


def test_what_cannot_be_done_is_said_in_one_line(root: httpx2.Client) -> None:
    unknown = root.post("/v1/models/pull", json={"model": f"{REPO}/other.gguf"})
    assert code_of(unknown) == (404, "model_not_found")
    assert FILE in unknown.json()["error"]["message"]
    elsewhere = root.post("/v1/models/pull", json={"model": "http://127.0.0.1:1/m.gguf"})
    assert code_of(elsewhere) == (400, "invalid_request")
    assert code_of(root.post("/v1/models/load", json={"model": "x"})) == (404, "model_not_found")
    assert code_of(root.post("/v1/models/unload", json={"model": "stub"}))[0] == 400
    assert code_of(root.delete("/v1/models/stub")) == (409, "model_in_use")
    assert code_of(root.delete("/v1/models/x.gguf")) == (404, "model_not_found")
    assert code_of(root.get("/v1/models/pull/pull_1")) == (404, "job_not_found")


@pytest.mark.parametrize(("method", "path", "body"), ORDERS)
def test_every_order_takes_an_administrator(
    base_url: str, method: str, path: str, body: dict[str, str] | None
) -> None:
    headers = {"authorization": "Bearer user"}
    answer = httpx2.request(method, f"{base_url}{path}", json=body, headers=headers)
    assert answer.status_code == 403
    assert "admin" in answer.text


def test_ollama_pulls_copies_and_deletes(root: httpx2.Client, hub: Hub) -> None:
    size = len(hub.files[REPO, FILE])
    with root.stream("POST", "/api/pull", json={"name": f"hf.co/{REPO}:Q8_0"}) as answer:
        lines = [json.loads(line) for line in answer.iter_lines()]
    assert answer.headers["content-type"].startswith("application/x-ndjson")
    assert (lines[0], lines[-1]) == ({"status": "pulling manifest"}, {"status": "success"})
    parts = [line for line in lines if "digest" in line]
    assert {line["digest"] for line in parts} == {f"sha256:{sha256(hub.files[REPO, FILE])}"}
    assert [line["completed"] for line in parts] == sorted(line["completed"] for line in parts)
    assert (parts[-1]["completed"], parts[-1]["total"]) == (size, size)
    again = root.post("/api/pull", json={"model": REPO, "stream": False, "insecure": False})
    assert again.json() == {"status": "success"}

    copied = root.post("/api/copy", json={"source": ID, "destination": "gpt-4:latest"})
    assert (copied.status_code, copied.content) == (200, b"")
    assert entry(root, "gpt-4")["id"] == ID
    assert root.request("DELETE", "/api/delete", json={"name": "gpt-4"}).status_code == 200
    assert root.get("/v1/models/gpt-4").status_code == 404
    assert root.post("/v1/models/load", json={"model": ID}).json()["loaded"]
    gone = root.request("DELETE", "/api/delete", json={"model": f"hf.co/{REPO}:Q8_0"})
    assert (gone.status_code, gone.content) == (200, b"")
    for method, path, body in (
        ("DELETE", "/api/delete", {"model": ID}),
        ("POST", "/api/copy", {"source": ID, "destination": "gpt-4"}),
        ("POST", "/api/pull", {"model": "llama3.2"}),
    ):
        unknown = root.request(method, path, json=body)
        assert (unknown.status_code, list(unknown.json())) == (404, ["error"])


def test_client_of_ollama_that_leaves_ends_its_pull(root: httpx2.Client, hub: Hub) -> None:
    hub.files["owner/slow", "slow.gguf"] = large_gguf_bytes(24)
    hub.faults.seconds_per_chunk = 0.5
    try:
        with root.stream("POST", "/api/pull", json={"model": "owner/slow"}) as answer:
            assert "manifest" in next(answer.iter_lines())
        wait_until(lambda: root.get("/v1/models/pull").json()["data"][0]["state"] == "cancelled")
    finally:
        hub.faults.seconds_per_chunk = 0
