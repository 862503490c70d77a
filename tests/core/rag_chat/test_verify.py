from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest

from llm_api.core.errors import EmbeddingError
from llm_api.core.rag.types import Chunk, Span
from llm_api.core.rag_chat.verify import verifier
from tests.core.rag.fakes import FakeEmbedder
from tests.core.rag_chat.fakes import Verdict


@dataclass
class Lines:
    """A check by lines: a claim's score is its best cosine, or -1 without any."""

    claims: list[str]
    passages: list[str]
    judged_by: list[Sequence[Sequence[float]] | None] = field(default_factory=list)

    def judge(self, similarities: Sequence[Sequence[float]] | None) -> list[Verdict]:
        self.judged_by.append(similarities)
        if similarities is None:
            return [Verdict(claim, -1) for claim in self.claims]
        return [
            Verdict(claim, max(row)) for claim, row in zip(self.claims, similarities, strict=True)
        ]


def lines(answer: str, sources: Sequence[Chunk]) -> Lines:
    return Lines(answer.splitlines(), [source.text for source in sources])


SOURCES = [Chunk("c", "d", 0, "cats sleep", Span(0, 10)), Chunk("e", "d", 1, "rain", Span(11, 15))]


async def test_each_claim_is_compared_with_each_passage() -> None:
    embedder = FakeEmbedder()
    support = await verifier(embedder, lines)("cats sleep\ndogs bark", SOURCES)
    assert [one.score for one in support] == pytest.approx([1.0, 0.0], abs=1e-6)
    assert embedder.texts == ["cats sleep", "dogs bark", "cats sleep", "rain"]
    assert embedder.requests[0].truncates


async def test_answer_without_a_claim_is_not_embedded() -> None:
    embedder = FakeEmbedder()
    assert list(await verifier(embedder, lines)("", SOURCES)) == []
    assert embedder.requests == []


async def test_words_alone_decide_where_the_embedder_fails() -> None:
    embedder = FakeEmbedder(failures={"cats": EmbeddingError("No vector.")})
    support = await verifier(embedder, lines)("cats sleep", SOURCES)
    assert [one.score for one in support] == [-1]
