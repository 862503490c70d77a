"""A reranker without a model."""

import asyncio
from dataclasses import dataclass, field

import numpy as np

from llm_api.core.embeddings.embedder import EmbedderCard
from llm_api.core.embeddings.reranker import Judgement, RerankRequest, sigmoid


@dataclass
class FakeReranker:
    """Judges by how often the question occurs. Takes `seconds`, and remembers who did not wait."""

    card: EmbedderCard = field(default_factory=lambda: EmbedderCard("judge", 0, "tests"))
    seconds: float = 0
    asked: list[RerankRequest] = field(default_factory=list)
    cancelled: int = 0

    async def judge(self, request: RerankRequest) -> Judgement:
        self.asked.append(request)
        try:
            await asyncio.sleep(self.seconds)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        raw = np.array([text.lower().count(request.question) - 1.0 for text in request.texts])
        return Judgement(raw, sigmoid(raw), tokens=7, truncated=(0,))
