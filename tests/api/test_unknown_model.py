"""A name that means no model: refused, or with `UNKNOWN_MODEL=default` served and said so."""

import logging

import httpx2
import pytest

from tests.api.bodies import chat, completion, embedding
from tests.fakes import MODEL_ID, FakeServices

HEADER = "x-llm-api-unknown-model"
BODIES: dict[str, dict[str, object]] = {
    "/v1/chat/completions": chat(),
    "/v1/completions": completion(),
    "/v1/responses": {"input": "Hi", "store": False},
    "/generate": {"prompt": "Hi"},
}


@pytest.mark.parametrize("path", BODIES)
async def test_an_unknown_model_is_served_where_the_settings_say_so(
    client: httpx2.AsyncClient,
    services: FakeServices,
    path: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    body = BODIES[path] | {"model": "gpt-99"}
    assert (await client.post(path, json=body)).status_code == 404
    services.serves_unknown_models = True
    with caplog.at_level(logging.INFO, logger="llm_api.api.middleware.reporting"):
        answer = await client.post(path, json=body)
    assert answer.status_code == 200, answer.text
    assert answer.headers[HEADER] == "gpt-99"
    assert answer.json()["model"] == MODEL_ID
    assert f"unknown model gpt-99: {MODEL_ID} serves it" in caplog.text


async def test_a_known_model_is_served_as_ever(
    client: httpx2.AsyncClient, services: FakeServices
) -> None:
    services.serves_unknown_models = True
    answer = await client.post("/v1/chat/completions", json=chat())
    assert HEADER not in answer.headers


async def test_vectors_of_another_model_are_never_given(
    client: httpx2.AsyncClient, services: FakeServices
) -> None:
    services.serves_unknown_models = True
    answer = await client.post("/v1/embeddings", json=embedding(model="text-embedding-99"))
    assert answer.status_code == 404
