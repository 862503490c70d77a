"""Whether the sources say what an answer says: by words, and by meaning as the embedder sees it."""

import asyncio
import logging
from collections.abc import Iterator, Sequence

import numpy as np

from llm_api.core.embeddings.embedder import Embedder, EmbeddingRequest
from llm_api.core.errors import LLMAPIError
from llm_api.core.rag.answering.support import Support, SupportCheck
from llm_api.core.rag.types import Chunk
from llm_api.core.utils.slices import in_slices

log = logging.getLogger(__name__)


async def verify(embedder: Embedder, answer: str, sources: Sequence[Chunk]) -> list[Support]:
    """A verdict for each sentence of the answer; by words alone where the embedder fails."""
    check = await asyncio.to_thread(SupportCheck, answer, sources)
    similarities = await _similarities(embedder, check)
    return await in_slices(check.judge(similarities), asyncio.Lock())


async def _similarities(
    embedder: Embedder, check: SupportCheck
) -> Iterator[Sequence[float]] | None:
    """A row for each claim, computed as it is asked for."""
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
    claims, passages = np.split(units, [len(check.claims)])
    return ((passages @ claim).tolist() for claim in claims)
