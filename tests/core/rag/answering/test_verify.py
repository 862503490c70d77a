import pytest

from llm_api.core.errors import EmbeddingError
from llm_api.core.rag.answering.support import COMBINED_THRESHOLD, LEXICAL_THRESHOLD
from llm_api.core.rag.answering.verify import verify
from llm_api.core.rag.types import Chunk, Span
from tests.core.rag.fakes import FakeEmbedder

SOURCES = [
    Chunk("c", "d", 0, "Cats sleep long.", Span(0, 16)),
    Chunk("e", "d", 1, "Rain falls.", Span(17, 28)),
]


async def test_each_claim_is_compared_with_each_passage() -> None:
    embedder = FakeEmbedder()
    support = await verify(embedder, "Cats sleep long. Dogs bark loud.", SOURCES)
    assert [one.supported for one in support] == [True, False]
    assert support[0].score >= COMBINED_THRESHOLD
    assert support[0].span == Span(0, 16)
    assert embedder.texts == [
        "Cats sleep long.",
        "Dogs bark loud.",
        "Cats sleep long.",
        "Rain falls.",
    ]
    assert embedder.requests[0].truncates


async def test_answer_without_a_claim_is_not_embedded() -> None:
    embedder = FakeEmbedder()
    assert await verify(embedder, "", SOURCES) == []
    assert embedder.requests == []


async def test_words_alone_decide_where_the_embedder_fails() -> None:
    embedder = FakeEmbedder(failures={"Cats": EmbeddingError("No vector.")})
    (support,) = await verify(embedder, "Cats sleep long.", SOURCES)
    assert support.score == pytest.approx(1.0)
    assert support.score >= LEXICAL_THRESHOLD
