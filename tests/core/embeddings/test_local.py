import asyncio
from dataclasses import replace

import numpy as np
import pytest

from llm_api.core.embeddings.embedder import EmbeddingRequest, TokenIds
from llm_api.core.embeddings.local import LocalEmbedder, LocalOptions
from llm_api.core.errors import (
    ContextLengthExceededError,
    InvalidRequestError,
    UnsupportedParameterError,
)
from tests.core.embeddings.fake_encoder import CARD, FACTS, FakeEncoder, here, vector_of


def embedder(encoder: FakeEncoder, options: LocalOptions | None = None) -> LocalEmbedder:
    return LocalEmbedder(CARD, encoder, here, options or LocalOptions())


def texts_of(encoder: FakeEncoder) -> list[str]:
    return [text for batch, _ in encoder.batches for text in batch]


async def test_an_identical_input_is_computed_once() -> None:
    encoder = FakeEncoder()
    one = embedder(encoder)
    first = await one.embed(EmbeddingRequest(["a", "b", "a"]))
    again = await one.embed(EmbeddingRequest(["b"]))
    assert sorted(texts_of(encoder)) == ["a", "b"]
    assert first.vectors[0].tolist() == first.vectors[2].tolist()
    assert again.vectors[0].tolist() == first.vectors[1].tolist()
    assert (first.tokens, again.tokens) == (9, 3)


async def test_what_is_kept_is_bounded_and_leaves_by_age_of_use() -> None:
    encoder = FakeEncoder()
    one = embedder(encoder, LocalOptions(cached_vectors=2))
    for text in ("a", "b", "a", "c", "a", "b"):
        await one.embed(EmbeddingRequest([text]))
    assert texts_of(encoder) == ["a", "b", "c", "b"]


async def test_nothing_is_kept_where_nothing_may_be() -> None:
    encoder = FakeEncoder()
    one = embedder(encoder, LocalOptions(cached_vectors=0))
    for _ in range(2):
        await one.embed(EmbeddingRequest(["a"]))
    assert texts_of(encoder) == ["a", "a"]


async def test_vectors_are_shared_within_a_scope_and_an_adapter_only() -> None:
    encoder = FakeEncoder(facts=replace(FACTS, adapters=("x", "y")))
    one = embedder(encoder)
    for scope, task in (("", None), ("key", None), ("", "x"), ("", "y"), ("key", None)):
        await one.embed(EmbeddingRequest(["a"], task=task, scope=scope))
    assert [adapter for _, adapter in encoder.batches] == [None, None, "x", "y"]


async def test_large_requests_are_tokenised_off_the_loop_and_alike() -> None:
    encoder = FakeEncoder()
    texts = [f"{number:030}" for number in range(1000)]
    answer = await embedder(encoder).embed(EmbeddingRequest(texts))
    assert answer.tokens == 32 * 1000
    expected = np.stack([vector_of(ids) for ids in encoder.tokenize(texts)])
    assert np.array_equal(answer.vectors, expected)


async def test_a_prompt_counts_towards_the_length() -> None:
    one = embedder(FakeEncoder())
    text = "a" * 25
    await one.embed(EmbeddingRequest([text]))
    with pytest.raises(ContextLengthExceededError, match=r"input\[0\] has 34 tokens"):
        await one.embed(EmbeddingRequest([text], input_type="query"))


async def test_ids_with_a_prompt_are_the_text_with_a_prompt() -> None:
    encoder = FakeEncoder()
    ids = tuple(encoder.tokenize(["a"])[0])
    await embedder(encoder).embed(EmbeddingRequest([TokenIds(ids)], input_type="query"))
    assert texts_of(encoder) == ["query: a"]


@pytest.mark.parametrize("ids", [(0, 1), (), (5,), (0, 0x80 + 2, 1), (0, 67, 1, 1), (-1, 1)])
async def test_ids_that_are_not_the_tokenizers_own_are_refused(ids: tuple[int, ...]) -> None:
    with pytest.raises(InvalidRequestError, match="check_embedding_ctx_length=False"):
        await embedder(FakeEncoder()).embed(EmbeddingRequest([TokenIds(ids)]))


async def test_prefixes_of_the_users_own_replace_the_models() -> None:
    encoder = FakeEncoder()
    one = embedder(encoder, LocalOptions(query_prefix="Q ", document_prefix="D "))
    for input_type in ("query", "document", None):
        await one.embed(EmbeddingRequest(["a"], input_type=input_type))
    assert texts_of(encoder) == ["Q a", "D a", "a"]


async def test_the_configured_length_is_the_default_and_may_be_asked_for() -> None:
    encoder = FakeEncoder(facts=replace(FACTS, matryoshka_dimensions=(2, 4)))
    one = embedder(encoder, LocalOptions(dimension=4))
    assert one.card.dimension == 4
    for asked, given in ((None, 4), (4, 4), (2, 2), (8, 8)):
        answer = await one.embed(EmbeddingRequest(["a"], dimensions=asked))
        assert answer.vectors.shape == (1, given)
        assert np.linalg.norm(answer.vectors) == pytest.approx(1)
    with pytest.raises(UnsupportedParameterError, match="trained for 2, 4 and 8 alone"):
        await one.embed(EmbeddingRequest(["a"], dimensions=3))


async def test_a_configured_length_that_means_nothing_is_refused() -> None:
    with pytest.raises(InvalidRequestError, match="'EMBEDDING_DIMENSION' is 9"):
        embedder(FakeEncoder(), LocalOptions(dimension=9))


async def test_closing_frees_the_model() -> None:
    encoder = FakeEncoder()
    one = embedder(encoder)
    await one.embed(EmbeddingRequest(["a"]))
    await one.aclose()
    await one.aclose()
    assert encoder.is_closed


async def test_many_at_once_get_their_own_vectors() -> None:
    encoder = FakeEncoder()
    one = embedder(encoder)
    answers = await asyncio.gather(
        *(one.embed(EmbeddingRequest([f"{number}", f"{number}!"])) for number in range(50))
    )
    for number, answer in enumerate(answers):
        ids = encoder.tokenize([f"{number}", f"{number}!"])
        assert np.array_equal(answer.vectors, np.stack([vector_of(one) for one in ids]))
    assert len(encoder.batches) < 50
