"""The real default model behind a real socket: the official SDK, LangChain, gold cosines."""

import base64
from collections.abc import Sequence

import httpx2
import numpy as np
import openai
import pytest
import tiktoken
from langchain_openai import OpenAIEmbeddings
from numpy.typing import NDArray
from openai import AsyncOpenAI, OpenAI
from pydantic import SecretStr

MODEL = "all-MiniLM-L6-v2"
TEXTS = ["The weather is lovely today.", "It's so sunny outside!", "He drove to the stadium."]
GOLD = [[1.0000, 0.6660, 0.1046], [0.6660, 1.0000, 0.1411], [0.1046, 0.1411, 1.0000]]
"""Cosines that the library's documentation shows for this model and these sentences."""


def gram(vectors: Sequence[Sequence[float]]) -> NDArray[np.float64]:
    array = np.array(vectors)
    return np.asarray(array @ array.T)


def test_the_sdk_gets_the_gold_cosines(sdk: OpenAI) -> None:
    answer = sdk.embeddings.create(model=MODEL, input=TEXTS)
    assert gram([item.embedding for item in answer.data]) == pytest.approx(np.array(GOLD), abs=5e-3)
    assert answer.usage.prompt_tokens == answer.usage.total_tokens > 3 * 5


def test_base64_says_the_same_as_numbers(http: httpx2.Client) -> None:
    numbers, coded = (
        http.post(
            "/v1/embeddings",
            json={"model": MODEL, "input": TEXTS, "encoding_format": encoding_format},
        ).json()["data"]
        for encoding_format in ("float", "base64")
    )
    for one, other in zip(numbers, coded, strict=True):
        raw = base64.b64decode(other["embedding"], validate=True)
        assert np.frombuffer(raw, dtype="<f4").tolist() == one["embedding"]


async def test_many_at_once_get_their_own_vectors(served_url: str) -> None:
    import asyncio

    texts = [f"Sentence number {number} is about the number {number}." for number in range(40)]
    async with AsyncOpenAI(base_url=f"{served_url}/v1", api_key="unused") as sdk:
        alone = await asyncio.gather(
            *(sdk.embeddings.create(model=MODEL, input=text) for text in texts)
        )
        fresh = [f"{text} " for text in texts]  # as the model reads it, the same; not to the cache
        together = await sdk.embeddings.create(model=MODEL, input=fresh)
    ones = np.array([answer.data[0].embedding for answer in alone])
    others = np.array([item.embedding for item in together.data])
    assert (ones @ others.T).argmax(axis=1).tolist() == list(range(40))
    assert (ones * others).sum(axis=1).min() > 0.999


def test_langchain_embeds_documents_and_queries(served_url: str, sdk: OpenAI) -> None:
    embeddings = OpenAIEmbeddings(
        base_url=f"{served_url}/v1",
        api_key=SecretStr("unused"),
        model=MODEL,
        check_embedding_ctx_length=False,
    )
    expected = [item.embedding for item in sdk.embeddings.create(model=MODEL, input=TEXTS).data]
    assert embeddings.embed_documents(TEXTS) == expected
    assert embeddings.embed_query(TEXTS[0]) == expected[0]


def test_langchains_default_is_told_what_to_set(
    served_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By default LangChain sends tiktoken's ids, of which all may be within our vocabulary."""
    encoding = tiktoken.Encoding(
        "bytes",
        pat_str=r"\S+|\s+",
        mergeable_ranks={bytes([byte]): 1000 + byte for byte in range(256)},
        special_tokens={},
    )
    monkeypatch.setitem(tiktoken.registry.ENCODINGS, "cl100k_base", encoding)
    embeddings = OpenAIEmbeddings(
        base_url=f"{served_url}/v1", api_key=SecretStr("unused"), model=MODEL, max_retries=0
    )
    with pytest.raises(openai.BadRequestError, match="check_embedding_ctx_length=False"):
        embeddings.embed_documents(TEXTS)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("", "input[0] is an empty string"),
        ([TEXTS[0], "word " * 300], "input[1] has 302 tokens, and the model reads at most 256"),
        ([15339, 1917], "check_embedding_ctx_length=False"),
        ([[101, 7592, 102], [99999]], "input[1] holds the token 99999"),
    ],
)
def test_what_would_be_a_wrong_vector_is_refused(
    http: httpx2.Client, given: object, words: str
) -> None:
    response = http.post("/v1/embeddings", json={"model": MODEL, "input": given})
    assert response.status_code == 400
    assert words in response.json()["error"]["message"]


def test_token_ids_of_the_models_own_are_the_text(http: httpx2.Client) -> None:
    body = {"model": MODEL, "input": [101, 7592, 2088, 102]}
    ids = http.post("/v1/embeddings", json=body).json()["data"][0]["embedding"]
    text = http.post("/v1/embeddings", json=body | {"input": "hello world"}).json()
    assert np.array(ids) @ np.array(text["data"][0]["embedding"]) == pytest.approx(1, abs=1e-3)


def test_a_dimension_that_the_model_was_not_trained_for_is_refused(sdk: OpenAI) -> None:
    with pytest.raises(openai.BadRequestError, match="EMBEDDING_ANY_DIMENSION"):
        sdk.embeddings.create(model=MODEL, input="a", dimensions=100)


def test_the_models_list_says_what_embeds(http: httpx2.Client) -> None:
    http.post("/v1/embeddings", json={"model": MODEL, "input": "a"})
    *_, listed = http.get("/v1/models").json()["data"]
    assert (listed["id"], listed["type"], listed["state"]) == (MODEL, "embedding", "loaded")
    assert (listed["dimensions"], listed["context_length"]) == (384, 256)
