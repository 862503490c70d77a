"""Embeddings, wire to domain and back: tables."""

import json
from base64 import b64decode

import numpy as np
import pytest

from llm_api.api.mapping.embeddings import to_embedding_request, to_inputs, to_json_answer
from llm_api.api.models.embeddings import EmbeddingList, EmbeddingsRequest, Input
from llm_api.core.embeddings.embedder import EmbeddingInput, EmbeddingRequest, Embeddings, TokenIds

VECTORS = np.array([[0.25, -0.5], [1.0, 0.0]], dtype=np.float32)


def asked(**given: object) -> EmbeddingsRequest:
    return EmbeddingsRequest.model_validate({"model": "e", "input": "Hi", **given})


def answer(embeddings: Embeddings, **given: object) -> dict[str, object]:
    answered: dict[str, object] = json.loads(to_json_answer(embeddings, asked(**given), "e"))
    EmbeddingList.model_validate(answered)
    return answered


@pytest.mark.parametrize(
    ("given", "inputs"),
    [
        ("Hi", ["Hi"]),
        (["a", "b"], ["a", "b"]),
        ([1, 2], [TokenIds((1, 2))]),
        ([[1], [2, 3]], [TokenIds((1,)), TokenIds((2, 3))]),
        ([], []),
    ],
)
def test_input_has_four_forms(given: Input, inputs: list[EmbeddingInput]) -> None:
    assert to_inputs(given) == inputs


def test_request_says_all_that_it_says() -> None:
    given = {"input_type": "query", "task": "t", "dimensions": 2, "truncate": True}
    wanted = EmbeddingRequest(["Hi"], input_type="query", task="t", dimensions=2, truncates=True)
    assert to_embedding_request(asked(**given)) == wanted
    assert to_embedding_request(asked()) == EmbeddingRequest(["Hi"])


@pytest.mark.parametrize("given", [{}, {"encoding_format": "float"}])
def test_vectors_are_numbers_in_order(given: dict[str, object]) -> None:
    assert answer(Embeddings(VECTORS, 7), **given) == {
        "object": "list",
        "data": [
            {"object": "embedding", "index": 0, "embedding": [0.25, -0.5]},
            {"object": "embedding", "index": 1, "embedding": [1.0, 0.0]},
        ],
        "model": "e",
        "usage": {"prompt_tokens": 7, "total_tokens": 7},
    }


def test_base64_is_little_endian_float32() -> None:
    answered = EmbeddingList.model_validate(
        answer(Embeddings(VECTORS, 7), encoding_format="base64")
    )
    texts = [one.embedding for one in answered.data]
    assert [np.frombuffer(b64decode(str(text)), "<f4").tolist() for text in texts] == [
        [0.25, -0.5],
        [1.0, 0.0],
    ]


@pytest.mark.parametrize(
    ("given", "truncated"), [({}, None), ({"truncate": False}, None), ({"truncate": True}, [1])]
)
def test_cut_inputs_are_told_where_cutting_was_asked_for(
    given: dict[str, object], truncated: list[int] | None
) -> None:
    assert answer(Embeddings(VECTORS, 7, (1,)), **given).get("truncated") == truncated
