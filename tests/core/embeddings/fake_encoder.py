"""A light model for tests: bytes are its tokens, and its vectors tell what they were made of."""

import asyncio
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from llm_api.core.embeddings.embedder import EmbedderCard, Vectors
from llm_api.core.embeddings.encoder import EncoderFacts, EncoderText, Pause
from llm_api.core.embeddings.local import LocalEmbedder, LocalOptions
from llm_api.core.embeddings.on_demand import OnDemandEmbedder

EMBEDDING_ID = "all-MiniLM-L6-v2"
EMBEDDING_ALIAS = "embedder"
CARD = EmbedderCard(EMBEDDING_ID, 1_700_000_000, "llm_api", aliases=(EMBEDDING_ALIAS,))

OPENING, CLOSING, FIRST_BYTE = 0, 1, 2
VOCABULARY = 256 + FIRST_BYTE

FACTS = EncoderFacts(
    dimension=8, max_tokens=32, vocabulary_size=VOCABULARY, prompts={"query": "query: "}
)


@dataclass
class FakeEncoder:
    """Remembers the batches. Raises `failure` if there is one."""

    facts: EncoderFacts = FACTS
    failure: Exception | None = None
    batches: list[tuple[list[str], str | None]] = field(default_factory=list)
    is_closed: bool = False

    def tokenize(self, texts: Sequence[str]) -> list[list[int]]:
        return [
            [OPENING, *(FIRST_BYTE + byte for byte in text.encode()), CLOSING] for text in texts
        ]

    def cut(self, ids: Sequence[int], length: int) -> Sequence[int]:
        return ids if len(ids) <= length else [*ids[: length - 1], CLOSING]

    def spell(self, ids: Sequence[int]) -> str:
        return bytes(max(token - FIRST_BYTE, 0) for token in ids[1:-1]).decode("utf-8", "replace")

    def encode(self, texts: Sequence[EncoderText], adapter: str | None, pause: Pause) -> Vectors:
        pause()
        self.batches.append(([text.text for text in texts], adapter))
        if self.failure is not None:
            raise self.failure
        return np.stack([vector_of(text.ids, adapter) for text in texts])

    def close(self) -> None:
        self.is_closed = True


def vector_of(ids: Sequence[int], adapter: str | None = None) -> Vectors:
    """Of length 1, and different for whatever differs."""
    digest = hashlib.sha256(f"{list(ids)} {adapter}".encode()).digest()
    numbers = np.frombuffer(digest[:8], dtype=np.int8).astype(np.float32) + 0.5
    return np.asarray(numbers / np.linalg.norm(numbers), dtype=np.float32)


async def here(compute: Callable[[], Vectors]) -> Vectors:
    """Compute on the loop, after everybody who is ready has had a turn."""
    await asyncio.sleep(0)
    return compute()


def fake_embedder(encoder: FakeEncoder, options: LocalOptions | None = None) -> OnDemandEmbedder:
    async def open_embedder() -> LocalEmbedder:
        return LocalEmbedder(CARD, encoder, here, options or LocalOptions())

    return OnDemandEmbedder(CARD, open_embedder)
