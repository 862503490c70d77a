"""Ollama's embeddings and lists over HTTP."""

from dataclasses import replace
from datetime import datetime

import httpx2
import pytest
from fastapi import FastAPI

from llm_api.core.llm.files.gguf import read_gguf
from llm_api.core.llm.files.installed import default_model_path
from tests.core.embeddings.fake_encoder import EMBEDDING_ALIAS, EMBEDDING_ID, FakeEncoder
from tests.fakes import ALIAS, CARD, MODEL_ID, FakeBackend, FakeModels, FakeServices

LATEST = f"{MODEL_ID}:latest"


@pytest.fixture
def file_backend(backend: FakeBackend) -> FakeBackend:
    """A model whose file is known."""
    file = read_gguf(default_model_path())
    backend.card = replace(CARD, file=file, aliases=(ALIAS, "a:tag", "gpt-*"))
    return backend


async def test_each_text_has_a_vector(client: httpx2.AsyncClient) -> None:
    body = {"model": EMBEDDING_ID, "input": ["One", "Two"], "keep_alive": None}
    answer = (await client.post("/api/embed", json=body)).json()
    assert answer["model"] == EMBEDDING_ID
    assert [len(vector) for vector in answer["embeddings"]] == [8, 8]
    assert answer["prompt_eval_count"] == 10
    assert answer["total_duration"] > 0
    alone = (await client.post("/api/embed", json={**body, "input": "One"})).json()
    assert alone["embeddings"] == answer["embeddings"][:1]
    old = await client.post("/api/embeddings", json={"model": EMBEDDING_ID, "prompt": "One"})
    assert old.json() == {"embedding": answer["embeddings"][0]}


async def test_a_text_that_is_too_long_is_cut_unless_that_is_forbidden(
    client: httpx2.AsyncClient,
) -> None:
    body = {"model": EMBEDDING_ID, "input": "x" * 100}
    cut = await client.post("/api/embed", json=body)
    assert (cut.status_code, cut.headers["x-truncated-inputs"]) == (200, "1")
    assert "x-ignored-parameters" not in cut.headers
    refused = await client.post("/api/embed", json={**body, "truncate": False})
    assert refused.status_code == 400
    assert isinstance(refused.json()["error"], str)


@pytest.mark.parametrize(
    ("path", "given", "answer"),
    [("embed", {"input": ""}, "embeddings"), ("embeddings", {"prompt": ""}, "embedding")],
)
async def test_without_a_text_the_embedding_model_is_loaded(
    client: httpx2.AsyncClient, encoder: FakeEncoder, path: str, given: object, answer: str
) -> None:
    assert isinstance(given, dict)
    got = await client.post(f"/api/{path}", json={"model": EMBEDDING_ID, **given})
    assert got.json()[answer] == []
    assert not encoder.batches


async def test_every_name_is_listed_with_a_tag(
    client: httpx2.AsyncClient, file_backend: FakeBackend
) -> None:
    models = (await client.get("/api/tags")).json()["models"]
    assert [one["name"] for one in models] == [
        LATEST, f"{ALIAS}:latest", "a:tag", f"{EMBEDDING_ID}:latest", f"{EMBEDDING_ALIAS}:latest",
    ]  # fmt: skip
    first, second = models[:2]
    assert first["model"] == first["name"]
    assert first["digest"] == second["digest"] != models[3]["digest"]
    assert file_backend.card.file is not None
    assert first["size"] == file_backend.card.file.size_bytes
    assert first["details"] == {
        "parent_model": "", "format": "gguf", "family": "llama", "families": ["llama"],
        "parameter_size": "134.52M", "quantization_level": "Q4_1",
    }  # fmt: skip
    assert datetime.fromisoformat(first["modified_at"]).timestamp() == CARD.created


@pytest.mark.parametrize("given", [{"model": LATEST}, {"name": ALIAS, "verbose": True}])
async def test_a_model_is_shown_with_what_its_file_says(
    client: httpx2.AsyncClient, file_backend: FakeBackend, given: dict[str, object]
) -> None:
    services_name = given.get("model", given.get("name"))
    shown = (await client.post("/api/show", json=given)).json()
    assert services_name
    assert shown["model_info"]["general.architecture"] == "llama"
    assert shown["model_info"]["llama.context_length"] == 8192
    assert shown["model_info"]["general.parameter_count"] == 134_515_008
    assert "im_start" in shown["template"]
    assert "im_start" not in str(shown["model_info"])
    assert shown["capabilities"] == ["completion", "tools", "insert"]
    assert "temperature                    0.2" in shown["parameters"].splitlines()
    assert shown["details"]["family"] == "llama"


async def test_a_model_without_a_file_is_shown_as_far_as_it_is_known(
    client: httpx2.AsyncClient,
) -> None:
    shown = (await client.post("/api/show", json={"model": MODEL_ID})).json()
    assert (shown["template"], shown["model_info"]["llama.context_length"]) == ("", 2048)
    embedder = (await client.post("/api/show", json={"model": f"{EMBEDDING_ID}:latest"})).json()
    assert embedder["capabilities"] == ["embedding"]


async def test_an_unknown_model_is_not_shown(client: httpx2.AsyncClient) -> None:
    answer = await client.post("/api/show", json={"model": "llama3.2"})
    assert answer.status_code == 404
    assert "llama3.2" in answer.json()["error"]
    assert (await client.post("/api/show", json={})).status_code == 400


async def test_only_models_in_memory_run(
    client: httpx2.AsyncClient, services: FakeServices
) -> None:
    [model] = (await client.get("/api/ps")).json()["models"]
    assert (model["name"], model["context_length"]) == (LATEST, 2048)
    assert datetime.fromisoformat(model["expires_at"]).year > 2100
    assert isinstance(services.models, FakeModels)
    services.models.states[MODEL_ID] = "unloaded"
    assert (await client.get("/api/ps")).json() == {"models": []}


async def test_the_server_says_that_it_runs(client: httpx2.AsyncClient, app: FastAPI) -> None:
    assert (await client.get("/")).text == "llm_api is running"
    head = await client.head("/")
    assert (head.status_code, head.text) == (200, "")
    version = (await client.get("/api/version")).json()["version"]
    assert [part.isdigit() for part in version.split(".")] == [True] * 3
    app.state.ollama_port = 11434
    transport = httpx2.ASGITransport(app)
    async with httpx2.AsyncClient(transport=transport, base_url="http://localhost:11434") as other:
        assert (await other.get("/")).text == "Ollama is running"
        assert (await other.head("/")).status_code == 200
