"""Each kind of failure: its status, its envelope, its headers."""

import logging

import httpx2
import pytest
from fastapi import FastAPI

from llm_api.core.errors import (
    CollectionDamagedError,
    CollectionNotFoundError,
    ContextLengthExceededError,
    DocumentNotFoundError,
    DownloadError,
    EmbeddingMismatchError,
    GenerationError,
    InvalidRequestError,
    LLMAPIError,
    ModelFileError,
    ModelInUseError,
    NoDiskSpaceError,
    NotOnHubError,
    OverloadedError,
    StorageFullError,
    TransferEndedError,
    UnavailableError,
    UnsupportedParameterError,
    VectorStoreError,
    VectorStoreUnavailableError,
)
from tests.api.bodies import chat
from tests.api.test_bad_input import assert_envelope
from tests.fakes import MODEL_ID, FakeBackend

CHAT = "/v1/chat/completions"

TABLE: list[tuple[LLMAPIError, int, str, str]] = [
    (InvalidRequestError("No.", param="x"), 400, "invalid_request_error", "invalid_request"),
    (UnsupportedParameterError("No."), 400, "invalid_request_error", "unsupported_parameter"),
    (ContextLengthExceededError("No."), 400, "invalid_request_error", "context_length_exceeded"),
    (OverloadedError("Full.", retry_after_seconds=2.3), 429, "rate_limit_error", "queue_full"),
    (UnavailableError("Loading."), 503, "server_error", "model_unavailable"),
    (CollectionNotFoundError("No."), 404, "invalid_request_error", "collection_not_found"),
    (DocumentNotFoundError("No."), 404, "invalid_request_error", "document_not_found"),
    (EmbeddingMismatchError("No."), 409, "invalid_request_error", "embedding_mismatch"),
    (VectorStoreUnavailableError("Down."), 503, "server_error", "vector_store_unavailable"),
    (StorageFullError("Full."), 507, "server_error", "storage_full"),
    (VectorStoreError("Odd."), 500, "server_error", "vector_store_failed"),
    (CollectionDamagedError("Flipped."), 500, "server_error", "collection_damaged"),
    (GenerationError("Broken."), 500, "server_error", "generation_failed"),
    (ModelFileError("Cut."), 500, "server_error", "model_file_invalid"),
    (DownloadError("Gone."), 502, "server_error", "download_failed"),
    (NotOnHubError("Where?"), 404, "invalid_request_error", "model_not_found"),
    (NoDiskSpaceError("Full."), 507, "server_error", "storage_full"),
    (TransferEndedError("Cut."), 502, "server_error", "transfer_ended"),
    (ModelInUseError("Busy."), 409, "invalid_request_error", "model_in_use"),
    (LLMAPIError("Odd."), 500, "server_error", "internal_error"),
]


@pytest.mark.parametrize(
    ("error", "status", "family", "code"), TABLE, ids=[type(r[0]).__name__ for r in TABLE]
)
async def test_a_core_error_has_its_status_even_before_a_stream(
    client: httpx2.AsyncClient,
    backend: FakeBackend,
    error: LLMAPIError,
    status: int,
    family: str,
    code: str,
) -> None:
    backend.script = lambda _: [error]
    for stream in (False, True):
        response = await client.post(CHAT, json=chat(stream=stream))
        assert response.status_code == status
        envelope = assert_envelope(response)
        assert (envelope["type"], envelope["code"]) == (family, code)
        assert (envelope["message"], envelope["param"]) == (error.message, error.param)


@pytest.mark.parametrize(
    ("seconds", "whole", "milliseconds"), [(2.3, "3", "2300"), (0.01, "1", "10"), (0, "1", "1")]
)
async def test_a_full_queue_says_when_to_come_back(
    client: httpx2.AsyncClient, backend: FakeBackend, seconds: float, whole: str, milliseconds: str
) -> None:
    backend.script = lambda _: [OverloadedError("Full.", retry_after_seconds=seconds)]
    response = await client.post(CHAT, json=chat())
    assert response.headers["retry-after"] == whole
    assert response.headers["retry-after-ms"] == milliseconds


async def test_a_model_that_is_loading_says_when_to_come_back(
    client: httpx2.AsyncClient, backend: FakeBackend
) -> None:
    backend.script = lambda _: [UnavailableError("Loading.")]
    response = await client.post(CHAT, json=chat())
    assert int(response.headers["retry-after"]) >= 1


@pytest.mark.parametrize(
    ("error", "hint"),
    [(GenerationError("x"), None), (LLMAPIError("x"), "false"), (ValueError("x"), "false")],
)
async def test_only_a_failure_that_may_pass_invites_a_retry(
    client: httpx2.AsyncClient, backend: FakeBackend, error: Exception, hint: str | None
) -> None:
    backend.script = lambda _: [error]
    response = await client.post(CHAT, json=chat())
    assert response.status_code == 500
    assert response.headers.get("x-should-retry") == hint


async def test_a_bug_is_an_envelope_outside_and_a_traceback_inside(
    client: httpx2.AsyncClient, backend: FakeBackend, caplog: pytest.LogCaptureFixture
) -> None:
    backend.script = lambda _: [ValueError("the secret detail")]
    with caplog.at_level(logging.ERROR):
        response = await client.post(CHAT, json=chat())
    assert response.status_code == 500
    assert assert_envelope(response)["code"] == "internal_error"
    assert "secret" not in response.text
    assert "the secret detail" in caplog.text


@pytest.mark.parametrize("path", ["/v1", "/v1/chat", "/v1/chat/completions//", "/docs/assets/x"])
async def test_an_unknown_path_is_an_envelope(client: httpx2.AsyncClient, path: str) -> None:
    response = await client.get(path)
    assert response.status_code == 404
    assert assert_envelope(response)["code"] == "unknown_url"


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", CHAT, "POST"),
        ("PUT", "/v1/completions", "POST"),
        ("POST", "/health", "GET"),
        ("PUT", "/v1/functions/f", "GET, POST"),
        ("PUT", "/v1/rag/documents", "GET, POST, DELETE"),
        ("PUT", "/v1/rag/documents/a/b", "GET, PATCH, DELETE"),
    ],
)
async def test_a_wrong_method_is_an_envelope_that_names_the_right_ones(
    client: httpx2.AsyncClient, method: str, path: str, allowed: str
) -> None:
    response = await client.request(method, path)
    assert response.status_code == 405
    assert assert_envelope(response)["code"] == "method_not_supported"
    assert response.headers["allow"] == allowed


@pytest.mark.parametrize("stream", [False, True])
async def test_an_unknown_model_is_not_served_by_another(
    client: httpx2.AsyncClient, backend: FakeBackend, stream: bool
) -> None:
    response = await client.post(CHAT, json=chat(model="gpt-4", stream=stream))
    assert response.status_code == 404
    error = assert_envelope(response)
    assert (error["code"], error["param"]) == ("model_not_found", "model")
    assert "The model `gpt-4` does not exist or you do not have access to it." in error["message"]
    assert MODEL_ID in error["message"]
    assert backend.requests == []


async def test_every_answer_has_an_id_of_its_own(client: httpx2.AsyncClient, app: FastAPI) -> None:
    paths = ["/health", "/v1/models", "/nowhere", "/docs", "/openapi.json", "/docs/assets/x"]
    responses = [await client.get(path, headers={"x-request-id": "mine"}) for path in paths]
    responses.append(await client.post(CHAT, json=chat()))
    responses.append(await client.post(CHAT, json=chat(stream=True)))
    ids = [response.headers["x-request-id"] for response in responses]
    assert all(identifier.startswith("req_") for identifier in ids)
    assert len(set(ids)) == len(ids)
    assert all("openai-processing-ms" in response.headers for response in responses)
