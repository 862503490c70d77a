"""Whether the sources say what an answer says: the texts embedded, for a check that compares."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol, TypeAlias

import numpy as np

from llm_api.core.embeddings.embedder import Embedder, EmbeddingRequest
from llm_api.core.errors import LLMAPIError
from llm_api.core.rag.types import Chunk
from llm_api.core.rag_chat.events import Support

log = logging.getLogger(__name__)

Verify: TypeAlias = Callable[[str, Sequence[Chunk]], Awaitable[Sequence[Support]]]
"""A verdict for each sentence of an answer from these sources."""


class SupportCheck(Protocol):
    """The sentences of one answer (`claims`), and the passages of its sources."""

    @property
    def claims(self) -> Sequence[str]: ...
    @property
    def passages(self) -> Sequence[str]: ...

    def judge(self, similarities: Sequence[Sequence[float]] | None) -> Sequence[Support]:
        """A verdict for each claim, by words alone or by its cosine to each passage as well."""
        ...


def verifier(
    embedder: Embedder, open_check: Callable[[str, Sequence[Chunk]], SupportCheck]
) -> Verify:
    """By words and meaning; by words alone where the embedder fails."""

    async def verify(answer: str, sources: Sequence[Chunk]) -> Sequence[Support]:
        check = await asyncio.to_thread(open_check, answer, sources)
        similarities = await _similarities(embedder, check)
        return await asyncio.to_thread(check.judge, similarities)

    return verify


async def _similarities(embedder: Embedder, check: SupportCheck) -> list[list[float]] | None:
    texts = [*check.claims, *check.passages]
    if not check.claims or not check.passages:
        return None
    request = EmbeddingRequest(texts, input_type="document", truncates=True)
    try:
        vectors = (await embedder.embed(request)).vectors
    except LLMAPIError as error:
        log.warning("an answer is verified by its words alone: %s", error.message)
        return None
    units = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    claims = len(check.claims)
    cosines: list[list[float]] = (units[:claims] @ units[claims:].T).tolist()
    return cosines
