"""Models, health and the documentation."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import pytest
from openai.types import Model

from llm_api.core.llm.capabilities import EVERYTHING, SAMPLING_FIELDS, Capabilities
from llm_api.core.llm.residency.plan import ModelState
from tests.api.bodies import embedding
from tests.core.embeddings.fake_encoder import EMBEDDING_ALIAS, EMBEDDING_ID
from tests.fakes import ALIAS, CARD, MODEL_ID, FakeBackend, FakeModels, FakeServices


async def test_models_are_listed_in_the_official_shape(client: httpx2.AsyncClient) -> None:
    body = (await client.get("/v1/models")).json()
    assert body["object"] == "list"
    [model, _] = body["data"]
    Model.model_validate(model, strict=True)
    assert model == {
        "id": MODEL_ID,
        "object": "model",
        "created": 1_700_000_000,
        "owned_by": "llm_api",
        "aliases": [ALIAS],
        "type": "generation",
        "backend": "llama",
        "capabilities": {
            "abilities": sorted(EVERYTHING.abilities),
            "sampling": sorted(SAMPLING_FIELDS),
        },
        "context_length": 2048,
        "size_bytes": None,
        "quantisation": None,
        "parameters": None,
        "pinned": False,
        "loaded": True,
        "state": "loaded",
    }


@pytest.mark.parametrize("state", ["unloaded", "loading", "unloading", "failed"])
async def test_a_model_that_is_not_in_memory_says_so(
    client: httpx2.AsyncClient, services: FakeServices, state: ModelState
) -> None:
    services.models.states[MODEL_ID] = state
    [listed, _] = (await client.get("/v1/models")).json()["data"]
    assert (listed["loaded"], listed["state"]) == (False, state)
    assert (await client.get(f"/v1/models/{ALIAS}")).json() == listed


async def test_an_embedding_model_is_listed_with_what_it_is(client: httpx2.AsyncClient) -> None:
    unknown: dict[str, object] = {
        "context_length": None,
        "dimensions": None,
        "tasks": [],
        "state": "unloaded",
    }
    known: dict[str, object] = {
        "context_length": 32,
        "dimensions": 8,
        "tasks": ["query"],
        "state": "loaded",
    }
    for said in (unknown, known):
        _, listed = (await client.get("/v1/models")).json()["data"]
        Model.model_validate(listed, strict=True)
        assert listed == {
            "id": EMBEDDING_ID,
            "object": "model",
            "created": 1_700_000_000,
            "owned_by": "llm_api",
            "aliases": [EMBEDDING_ALIAS],
            "type": "embedding",
            "loaded": said is known,
            "state": "loaded" if said is known else "unloaded",
            **said,
        }
        for name in (EMBEDDING_ID, EMBEDDING_ALIAS):
            assert (await client.get(f"/v1/models/{name}")).json() == listed
        await client.post("/v1/embeddings", json=embedding())


@pytest.mark.parametrize("name", ["acme/tiny", "acme%2Ftiny", "acme%2ftiny"])
async def test_a_model_id_may_contain_a_slash(
    client: httpx2.AsyncClient, services: FakeServices, name: str
) -> None:
    card = type(CARD)(id="acme/tiny", created=1, owned_by="acme", context_length=8)
    services.models = FakeModels([FakeBackend(card=card)])
    response = await client.get(f"/v1/models/{name}")
    assert response.status_code == 200
    assert response.json()["id"] == "acme/tiny"


async def test_a_model_is_found_by_its_alias(client: httpx2.AsyncClient) -> None:
    assert (await client.get(f"/v1/models/{ALIAS}")).json()["id"] == MODEL_ID


@pytest.mark.parametrize("name", ["nope", "%ED%A0%80", "%00", "a" * 5000])
async def test_an_unknown_model_is_not_found(client: httpx2.AsyncClient, name: str) -> None:
    response = await client.get(f"/v1/models/{name}")
    assert response.status_code == 404
    error = response.json()["error"]
    assert error["code"] == "model_not_found"
    assert len(error["message"]) <= 1000


async def test_health_says_what_runs(client: httpx2.AsyncClient) -> None:
    body = (await client.get("/health")).json()
    assert body.pop("uptime_seconds") > 0
    told = datetime.fromisoformat(body.pop("timestamp"))
    assert abs(told - datetime.now(UTC)) < timedelta(seconds=5)
    assert body == {
        "status": "healthy",
        "service": "llm_api",
        "version": "0.0.test",
        "backend": "llama",
        "model": MODEL_ID,
        "models": [MODEL_ID],
        "request_log": {"problem": None, "dropped": 0},
    }


async def test_health_tells_of_a_request_log_that_is_not_written(
    client: httpx2.AsyncClient, services: FakeServices
) -> None:
    services.request_log.problem, services.request_log.dropped = "No space left on device", 3
    body = (await client.get("/health")).json()
    assert body["status"] == "healthy"
    assert body["request_log"] == {"problem": "No space left on device", "dropped": 3}


async def test_readiness_follows_the_model(
    client: httpx2.AsyncClient, services: FakeServices
) -> None:
    response = await client.get("/health/ready")
    assert (response.status_code, response.json()["status"]) == (200, "ready")

    services.is_ready = False
    response = await client.get("/health/ready")
    assert (response.status_code, response.json()["status"]) == (503, "not_ready")
    assert response.headers["retry-after"] == "1"
    assert (await client.get("/health")).status_code == 200


async def test_the_docs_load_nothing_from_elsewhere(client: httpx2.AsyncClient) -> None:
    page = (await client.get("/docs")).text
    assert "https://" not in page
    for name in ("swagger-ui-bundle.js", "swagger-ui.css", "favicon.png"):
        assert f"/docs/assets/{name}" in page
        assert len((await client.get(f"/docs/assets/{name}")).content) > 500


def test_the_docs_declare_the_envelope_and_no_422(openapi: dict[str, Any]) -> None:
    text = json.dumps(openapi)
    assert "HTTPValidationError" not in text
    for path in (
        "/v1/chat/completions",
        "/v1/completions",
        "/v1/embeddings",
        "/v1/models",
        "/generate",
        "/chat",
        "/chat/stream",
        "/model-info",
        "/config",
    ):
        [operation] = openapi["paths"][path].values()
        assert operation["summary"]
        assert operation["tags"]
        assert "ErrorEnvelope" in json.dumps(operation["responses"]["4XX"])
        assert "ErrorEnvelope" in json.dumps(operation["responses"]["5XX"])


@pytest.mark.parametrize(
    ("path", "model"),
    [
        ("/v1/chat/completions", "ChatCompletionRequest"),
        ("/v1/completions", "CompletionRequest"),
        ("/v1/embeddings", "EmbeddingsRequest"),
        ("/generate", "GenerateRequest"),
        ("/chat", "PlainChatRequest"),
    ],
)
async def test_the_examples_of_the_docs_run(
    client: httpx2.AsyncClient, openapi: dict[str, Any], path: str, model: str
) -> None:
    examples = openapi["components"]["schemas"][model]["examples"]
    assert examples
    for example in examples:
        assert (await client.post(path, json=example)).status_code == 200


async def test_a_model_lists_what_its_backend_can_do(
    client: httpx2.AsyncClient, services: FakeServices
) -> None:
    can = Capabilities(frozenset({"tools", "chat"}), frozenset({"top_p", "temperature"}))
    card = replace(CARD, backend="vllm", capabilities=can, context_length=None)
    services.models.backends = [FakeBackend(card=card)]
    listed = (await client.get(f"/v1/models/{MODEL_ID}")).json()
    assert (listed["backend"], listed["context_length"]) == ("vllm", None)
    assert listed["capabilities"] == {
        "abilities": ["chat", "tools"],
        "sampling": ["temperature", "top_p"],
    }


async def test_embedding_model_is_loaded_and_stays(client: httpx2.AsyncClient) -> None:
    loaded = await client.post("/v1/models/load", json={"model": EMBEDDING_ALIAS})
    assert (loaded.json()["id"], loaded.json()["state"]) == (EMBEDDING_ID, "loaded")
    unloaded = await client.post("/v1/models/unload", json={"model": EMBEDDING_ID})
    assert (unloaded.status_code, unloaded.json()["error"]["param"]) == (400, "model")
    deleted = await client.delete(f"/v1/models/{EMBEDDING_ID}")
    assert (deleted.status_code, deleted.json()["error"]["code"]) == (409, "model_in_use")
