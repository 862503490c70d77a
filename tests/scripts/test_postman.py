"""The Postman collection is what the schema makes of it, and its requests are the server's."""

import json
from typing import Any

import httpx2
import pytest
from fastapi import FastAPI

from scripts.postman import FILE, text

COLLECTION: dict[str, Any] = json.loads(FILE.read_text(encoding="utf-8"))
REQUESTS = [one["request"] for folder in COLLECTION["item"] for one in folder["item"]]


def test_collection_is_current() -> None:
    assert FILE.read_text(encoding="utf-8") == text(), "run `make postman`"


def test_every_endpoint_has_one_request(app: FastAPI) -> None:
    endpoints = [
        (method.upper(), path) for path, methods in app.openapi()["paths"].items()
        for method in methods
    ]  # fmt: skip
    assert len(REQUESTS) == len(endpoints)
    described = {(one["method"], "/" + "/".join(one["url"]["path"])) for one in REQUESTS}
    assert described == {
        (method, "/".join(f":{step[1:-1]}" if "{" in step else step for step in path.split("/")))
        for method, path in endpoints
    }


@pytest.mark.parametrize(
    "path",
    ["/v1/chat/completions", "/v1/completions", "/v1/embeddings", "/generate", "/chat", "/config"],
)
async def test_a_request_as_it_stands_is_answered(client: httpx2.AsyncClient, path: str) -> None:
    [request] = [one for one in REQUESTS if "/" + "/".join(one["url"]["path"]) == path]
    assert request["url"]["raw"] == "{{base_url}}" + path
    headers = {one["key"]: one["value"] for one in request["header"]}
    body = request.get("body", {}).get("raw")
    response = await client.request(request["method"], path, content=body, headers=headers)
    assert response.status_code == 200, response.text


def test_parameters_and_files_have_their_places() -> None:
    found = {
        (one["method"], "/".join(one["url"]["path"])): one
        for one in REQUESTS
    }  # fmt: skip
    function = found["GET", "v1/functions/:name"]
    assert [(one["key"], one["value"]) for one in function["url"]["variable"]] == [
        ("name", "get_weekday")
    ]
    documents = found["GET", "v1/rag/documents"]
    assert {one["key"] for one in documents["url"]["query"]} >= {"collection", "filter"}
    assert all(one["disabled"] for one in documents["url"]["query"])
    files, *others = found["POST", "v1/rag/files"]["body"]["formdata"]
    assert (files["key"], files["type"]) == ("files", "file")
    assert {one["type"] for one in others} == {"text"}
    change = found["PATCH", "v1/rag/documents/:document_id"]["body"]["raw"]
    assert json.loads(change).keys() == {"metadata"}


def test_the_key_is_a_variable_and_empty() -> None:
    assert {one["key"]: one["value"] for one in COLLECTION["variable"]}["api_key"] == ""
    assert COLLECTION["auth"]["bearer"][0]["value"] == "{{api_key}}"
