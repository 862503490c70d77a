"""Asks for embeddings in base64, as SDKs do."""

import json
from base64 import b64decode
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from llm_api.core.embeddings.model_files import DEFAULT_NAME
from scripts.bench.connection import Connection, Reply


async def embed(connection: Connection, texts: str | Sequence[str]) -> Reply:
    """Raises OSError where the server is gone."""
    body = {"model": DEFAULT_NAME, "input": texts, "encoding_format": "base64"}
    return await connection.post("/v1/embeddings", json.dumps(body).encode())


def read_vectors(reply: Reply) -> NDArray[np.float32]:
    """One row for each text. Raises ValueError or KeyError where there are none."""
    rows = [b64decode(item["embedding"]) for item in json.loads(reply.body)["data"]]
    return np.stack([np.frombuffer(row, dtype="<f4") for row in rows])
