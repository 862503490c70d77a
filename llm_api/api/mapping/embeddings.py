"""Embeddings, wire to domain and back. Pure."""

from base64 import b64encode

import numpy as np
from numpy.typing import NDArray
from pydantic_core import to_json

from llm_api.api.models.embeddings import EmbeddingsRequest, Input
from llm_api.core.embeddings.embedder import (
    EmbeddingInput,
    EmbeddingRequest,
    Embeddings,
    TokenIds,
)


def to_embedding_request(request: EmbeddingsRequest) -> EmbeddingRequest:
    """What the core is asked for."""
    return EmbeddingRequest(
        inputs=to_inputs(request.input),
        input_type=request.input_type,
        task=request.task,
        dimensions=request.dimensions,
        truncates=bool(request.truncate),
    )


def to_inputs(given: Input) -> list[EmbeddingInput]:
    """The inputs one by one, whichever of the four wire forms they came in."""
    if isinstance(given, str):
        return [given]
    inputs: list[EmbeddingInput] = []
    loose_tokens: list[int] = []
    for item in given:
        if isinstance(item, str):
            inputs.append(item)
        elif isinstance(item, int):
            loose_tokens.append(item)
        else:
            inputs.append(TokenIds(tuple(item)))
    return [TokenIds(tuple(loose_tokens))] if loose_tokens else inputs


def to_json_answer(embeddings: Embeddings, request: EmbeddingsRequest, model: str) -> bytes:
    """The JSON text of an `EmbeddingList`.

    Written vector by vector: as Pydantic models, a million numbers take seconds.
    """
    write = _base64 if request.encoding_format == "base64" else _numbers
    items = [
        b'{"object":"embedding","index":%d,"embedding":%b}' % (index, write(vector))
        for index, vector in enumerate(embeddings.vectors)
    ]
    tail: dict[str, object] = {
        "model": model,
        "usage": {"prompt_tokens": embeddings.tokens, "total_tokens": embeddings.tokens},
    }
    if request.truncate:
        tail["truncated"] = embeddings.truncated
    return b'{"object":"list","data":[%b],%b' % (b",".join(items), to_json(tail)[1:])


def _numbers(vector: NDArray[np.float32]) -> bytes:
    return to_json(vector.tolist())


def _base64(vector: NDArray[np.float32]) -> bytes:
    return b'"%b"' % b64encode(vector.astype("<f4").tobytes())
