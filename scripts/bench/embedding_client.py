"""Asks for embeddings over a connection that stays open, as SDKs do; notes how long it took."""

import asyncio
import json
import time
from base64 import b64decode
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from llm_api.core.embeddings.model_folder import DEFAULT_NAME
from scripts.bench.client import HOST

LARGEST_ANSWER_BYTES = 64_000_000


@dataclass(frozen=True, slots=True)
class EmbeddingAnswer:
    """Parsed when its vectors are wanted, after the clock has stopped."""

    status: int
    body: bytes
    seconds: float

    def vectors(self) -> NDArray[np.float32]:
        """One row for each text. Raises ValueError or KeyError where there are none."""
        rows = [b64decode(item["embedding"]) for item in json.loads(self.body)["data"]]
        return np.stack([np.frombuffer(row, dtype="<f4") for row in rows])


class EmbeddingConnection:
    """One connection. Requests on it follow one another."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def ask(self, texts: str | Sequence[str]) -> EmbeddingAnswer:
        """Raises OSError or EOFError where the server is gone."""
        body = {"model": DEFAULT_NAME, "input": texts, "encoding_format": "base64"}
        content = json.dumps(body).encode()
        head = (
            f"POST /v1/embeddings HTTP/1.1\r\nHost: {HOST}\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(content)}\r\n\r\n"
        )
        began = time.perf_counter()
        self._writer.write(head.encode() + content)
        lines = (await self._reader.readuntil(b"\r\n\r\n")).lower().split(b"\r\n")
        length = next(line for line in lines if line.startswith(b"content-length:"))
        answer = await self._reader.readexactly(int(length.partition(b":")[2]))
        return EmbeddingAnswer(int(lines[0].split()[1]), answer, time.perf_counter() - began)


@asynccontextmanager
async def connect(port: int) -> AsyncGenerator[EmbeddingConnection, None]:
    reader, writer = await asyncio.open_connection(HOST, port, limit=LARGEST_ANSWER_BYTES)
    try:
        yield EmbeddingConnection(reader, writer)
    finally:
        writer.close()
