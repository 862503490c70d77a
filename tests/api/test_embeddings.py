"""Embeddings on the wire, over a light model: forms of input and answer, and every refusal."""

import asyncio
import base64
from typing import Any

import httpx2
import numpy as np
import pytest
from openai import AsyncOpenAI, OpenAI
from openai.types import CreateEmbeddingResponse

from llm_api.core.embeddings.embedder_registry import EmbedderRegistry
from llm_api.core.embeddings.local import LocalOptions
from tests.api.bodies import embedding
from tests.api.test_bad_input import JSON_HEADERS, RAW_BODIES, assert_envelope
from tests.core.embeddings.fake_encoder import (
    EMBEDDING_ALIAS,
    EMBEDDING_ID,
    FakeEncoder,
    fake_embedder,
    vector_of,
)
from tests.fakes import MODEL_ID, FakeServices

PATH = "/v1/embeddings"


async def post(client: httpx2.AsyncClient, **fields: object) -> dict[str, Any]:
    """The answer; one of numbers is valid by the official SDK's own types."""
    response = await client.post(PATH, json=embedding(**fields))
    assert response.status_code == 200, response.text
    if fields.get("encoding_format") != "base64":
        CreateEmbeddingResponse.model_validate_json(response.content, strict=True)
    return dict(response.json())


async def refused(client: httpx2.AsyncClient, **fields: object) -> dict[str, Any]:
    response = await client.post(PATH, json=embedding(**fields))
    assert response.status_code == 400, response.text
    return assert_envelope(response)


def ids_of(text: str) -> list[int]:
    return FakeEncoder().tokenize([text])[0]


def vector(text: str) -> list[float]:
    return [float(number) for number in vector_of(ids_of(text))]


async def test_an_answer_has_exactly_the_official_fields(client: httpx2.AsyncClient) -> None:
    assert await post(client, input="Once", user="someone") == {
        "object": "list",
        "data": [{"object": "embedding", "index": 0, "embedding": vector("Once")}],
        "model": EMBEDDING_ID,
        "usage": {"prompt_tokens": 6, "total_tokens": 6},
    }


@pytest.mark.parametrize(
    ("given", "texts"),
    [
        ("a", ["a"]),
        (["a", "b", "a"], ["a", "b", "a"]),
        (ids_of("ab"), ["ab"]),
        ([ids_of("ab"), ids_of("c")], ["ab", "c"]),
    ],
)
async def test_an_input_comes_in_four_forms(
    client: httpx2.AsyncClient, given: object, texts: list[str]
) -> None:
    data = (await post(client, input=given))["data"]
    assert [item["index"] for item in data] == list(range(len(texts)))
    assert [item["embedding"] for item in data] == [vector(text) for text in texts]


async def test_base64_says_the_same_as_numbers(client: httpx2.AsyncClient) -> None:
    texts = ["a", "bc"]
    numbers = (await post(client, input=texts, encoding_format="float"))["data"]
    coded = (await post(client, input=texts, encoding_format="base64"))["data"]
    for one, other in zip(numbers, coded, strict=True):
        raw = base64.b64decode(other["embedding"], validate=True)
        assert np.frombuffer(raw, dtype="<f4").tolist() == one["embedding"]


async def test_2048_inputs_keep_their_order(client: httpx2.AsyncClient) -> None:
    texts = [f"{number * 7919 % 2048:x}" for number in range(2048)]
    answer = await post(client, input=texts)
    assert [item["embedding"] for item in answer["data"]] == [vector(text) for text in texts]
    assert answer["usage"]["prompt_tokens"] == sum(len(text) + 2 for text in texts)


async def test_an_alias_answers_under_the_models_own_name(client: httpx2.AsyncClient) -> None:
    assert (await post(client, model=EMBEDDING_ALIAS))["model"] == EMBEDDING_ID


@pytest.mark.parametrize("model", ["text-embedding-3-small", MODEL_ID])
async def test_another_model_is_never_served_by_this_one(
    client: httpx2.AsyncClient, model: str
) -> None:
    response = await client.post(PATH, json=embedding(model=model))
    assert response.status_code == 404
    error = assert_envelope(response)
    assert (error["code"], error["param"]) == ("model_not_found", "model")
    assert EMBEDDING_ID in error["message"]


async def test_a_server_without_embedder_says_so(
    client: httpx2.AsyncClient, services: FakeServices
) -> None:
    services.embedders = EmbedderRegistry([])
    response = await client.post(PATH, json=embedding())
    assert response.status_code == 404
    assert "EMBEDDING_BACKEND" in assert_envelope(response)["message"]


async def test_a_query_gets_the_prompt_of_queries(
    client: httpx2.AsyncClient, encoder: FakeEncoder
) -> None:
    answer = await post(client, input="a", input_type="query")
    await post(client, input="a", input_type="document")
    await post(client, input="a", task="query")
    assert [texts for texts, _ in encoder.batches] == [["query: a"], ["a"]]
    assert answer["usage"]["prompt_tokens"] == len("query: a") + 2


async def test_truncate_cuts_and_says_so(client: httpx2.AsyncClient) -> None:
    texts = ["a" * 31, "b", "c" * 30]
    response = await client.post(PATH, json=embedding(input=texts, truncate=True))
    answer = response.json()
    assert response.headers["x-truncated-inputs"] == "1"
    assert answer["truncated"] == [0]
    assert answer["data"][0]["embedding"] == vector("a" * 30)
    assert answer["usage"]["prompt_tokens"] == 32 + 3 + 32

    uncut = await client.post(PATH, json=embedding(input="b", truncate=True))
    assert (uncut.headers["x-truncated-inputs"], uncut.json()["truncated"]) == ("0", [])


async def test_shorter_vectors_are_cut_and_of_length_one_again(
    client: httpx2.AsyncClient, services: FakeServices, encoder: FakeEncoder
) -> None:
    options = LocalOptions(allows_any_dimension=True)
    services.embedders = EmbedderRegistry([fake_embedder(encoder, options)])
    whole, short = [
        np.array((await post(client, dimensions=dimensions))["data"][0]["embedding"])
        for dimensions in (8, 3)
    ]
    assert short == pytest.approx(whole[:3] / np.linalg.norm(whole[:3]), abs=1e-6)


REFUSED: list[tuple[dict[str, object], str | None, str, str]] = [
    ({"input": None}, "input", "invalid_type", "string"),
    ({"input": []}, "input", "invalid_type", "not empty"),
    ({"input": 5}, "input", "invalid_type", "string"),
    ({"input": [1.5]}, "input", "invalid_type", "string"),
    ({"input": ["a", 5]}, "input[1]", "invalid_type", "string"),
    ({"input": [[1], []]}, "input[1]", "invalid_value", "at least 1"),
    ({"input": ["a"] * 2049}, "input", "invalid_value", "2048"),
    ({"input": ""}, "input[0]", "invalid_request", "input[0] is an empty string"),
    ({"input": ["a", ""]}, "input[1]", "invalid_request", "input[1] is an empty string"),
    ({"input": ["a", "b" * 31]}, "input[1]", "context_length_exceeded",
     "input[1] has 33 tokens, and the model reads at most 32"),
    ({"input": [ids_of("a"), [0, 258, 1]]}, "input[1]", "invalid_request",
     "input[1] holds the token 258, and the model's vocabulary ends at 257"),
    ({"input": [65, 66]}, "input[0]", "invalid_request", "check_embedding_ctx_length=False"),
    ({"input": ids_of("a")[:-1]}, "input[0]", "invalid_request", "another model's"),
    ({"input": [0, 1]}, "input[0]", "invalid_request", "another model's"),
    ({"encoding_format": "hex"}, "encoding_format", "invalid_value", "float"),
    ({"dimensions": 0}, "dimensions", "invalid_value", "greater"),
    ({"dimensions": 9}, "dimensions", "invalid_request", "8 dimensions"),
    ({"dimensions": 4}, "dimensions", "unsupported_parameter", "EMBEDDING_ANY_DIMENSION"),
    ({"input_type": "passage"}, "input_type", "invalid_value", "document"),
    ({"task": "retrieval.query"}, "task", "unsupported_parameter", "it has query"),
    ({"truncate": "yes"}, "truncate", "invalid_type", "boolean"),
    ({"normalize": True}, "normalize", "unsupported_parameter", "not known"),
]  # fmt: skip


@pytest.mark.parametrize(("fields", "param", "code", "words"), REFUSED)
async def test_what_is_wrong_is_refused_by_name(
    client: httpx2.AsyncClient,
    encoder: FakeEncoder,
    fields: dict[str, object],
    param: str | None,
    code: str,
    words: str,
) -> None:
    error = await refused(client, **fields)
    assert (error["param"], error["code"]) == (param, code)
    assert words in error["message"]
    assert encoder.batches == []


@pytest.mark.parametrize("name", RAW_BODIES)
async def test_a_body_that_is_no_json_object_is_refused(
    client: httpx2.AsyncClient, name: str
) -> None:
    response = await client.post(PATH, content=RAW_BODIES[name], headers=JSON_HEADERS)
    assert response.status_code == 400
    assert assert_envelope(response)["type"] == "invalid_request_error"


async def test_a_model_that_fails_is_a_500_in_the_envelope(
    client: httpx2.AsyncClient, encoder: FakeEncoder
) -> None:
    encoder.failure = RuntimeError("a secret of the engine")
    response = await client.post(PATH, json=embedding())
    assert response.status_code == 500
    error = assert_envelope(response)
    assert error["code"] == "embedding_failed"
    assert "secret" not in error["message"]
    encoder.failure = None
    assert (await post(client))["data"]


def test_the_sdk_gets_base64_by_default_and_the_same_numbers(base_url: str) -> None:
    with OpenAI(base_url=f"{base_url}/v1", api_key="unused", max_retries=0) as sdk:
        default = sdk.embeddings.create(model=EMBEDDING_ID, input=["a", "b"])
        floats = sdk.embeddings.create(
            model=EMBEDDING_ID, input=["a", "b"], encoding_format="float"
        )
    assert [item.embedding for item in default.data] == [vector("a"), vector("b")]
    assert default == floats


async def test_the_async_sdk_sends_many_at_once(base_url: str) -> None:
    async with AsyncOpenAI(base_url=f"{base_url}/v1", api_key="unused", max_retries=0) as sdk:
        answers = await asyncio.gather(
            *(sdk.embeddings.create(model=EMBEDDING_ID, input=str(i)) for i in range(40))
        )
    assert [answer.data[0].embedding for answer in answers] == [vector(str(i)) for i in range(40)]
