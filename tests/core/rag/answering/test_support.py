import logging

import numpy as np
import pytest

from llm_api.core.errors import EmbeddingError
from llm_api.core.rag.answering import support as module
from llm_api.core.rag.answering.overlap import Passages, quotable, terms
from llm_api.core.rag.answering.support import AlikePassage, SupportCheck
from llm_api.core.rag.types import Chunk, Span
from tests.core.rag.fakes import FakeEmbedder

TEXT = "Docker packs programs in containers. A container shares the kernel. Images are layers."
OTHER = "Whales live in the sea."
SOURCES = [
    Chunk("c", "d", 0, TEXT, Span(100, 100 + len(TEXT))),
    Chunk("e", "f", 0, OTHER, Span(0, len(OTHER))),
]


async def best(
    claim: str, embedder: FakeEmbedder | None = None, number: int | None = None
) -> AlikePassage | None:
    check = SupportCheck(SOURCES, embedder)
    try:
        return (await check.compare(claim)).best(number)
    finally:
        await check.aclose()


@pytest.mark.parametrize("embedder", [None, FakeEmbedder()])
async def test_passage_that_says_it_supports_a_sentence(embedder: FakeEmbedder | None) -> None:
    found = await best("A container shares the kernel.", embedder)
    assert found is not None
    assert (found.number, found.document_id, found.supported) == (1, "d", True)
    assert found.quote == "A container shares the kernel."
    assert TEXT[found.span.start - 100 : found.span.end - 100] == found.quote
    assert found.score == pytest.approx(1.0)


@pytest.mark.parametrize("embedder", [None, FakeEmbedder()])
async def test_invented_sentence_is_like_something_and_not_supported(
    embedder: FakeEmbedder | None,
) -> None:
    found = await best("Containers were invented by the sea lions of Nantucket.", embedder)
    assert found is not None
    assert not found.supported


async def test_passage_can_be_sought_in_one_source() -> None:
    found = await best("Whales share the kernel.", FakeEmbedder(), number=2)
    assert found is not None
    assert (found.number, found.quote) == (2, OTHER)


async def test_nothing_alike_is_nothing() -> None:
    assert await best("Zebras gallop") is None


async def test_two_sentences_together_can_support_one() -> None:
    found = await best("A container shares the kernel and images are layers.", FakeEmbedder())
    assert found is not None
    assert found.quote == "A container shares the kernel. Images are layers."


async def test_sentences_of_sources_are_embedded_once_and_not_for_each_claim() -> None:
    embedder = FakeEmbedder()
    check = SupportCheck(SOURCES, embedder)
    for _ in range(2):
        await check.compare("Images are layers.")
    await check.aclose()
    assert [len(request.inputs) for request in embedder.requests] == [4, 1, 1]
    assert all(request.truncates for request in embedder.requests)


async def test_words_alone_decide_where_the_embedder_fails(
    caplog: pytest.LogCaptureFixture,
) -> None:
    embedder = FakeEmbedder(failures={"Whales": EmbeddingError("No vector.")})
    with caplog.at_level(logging.WARNING):
        found = await best("Images are layers.", embedder)
    assert found is not None
    assert found.score == pytest.approx(1.0)
    assert "by words alone: No vector." in caplog.text


async def test_more_text_than_is_embedded_is_compared_by_words(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "MOST_EMBEDDED", 3)
    embedder = FakeEmbedder()
    assert await best("Images are layers.", embedder) is not None
    assert embedder.requests == []


async def test_check_that_is_closed_early_leaves_nothing_behind() -> None:
    check = SupportCheck(SOURCES, FakeEmbedder(seconds=60))
    await check.aclose()
    await check.aclose()


def overlap(claim: str, source: str) -> float:
    return float(Passages([source]).overlaps(terms(claim))[0])


@pytest.mark.parametrize(
    ("claim", "source", "expected"),
    [
        ("containers share kernels", "Containers share KERNELS!", 1.0),
        ("containers", "whales", 0.0),
        ("", "whales", 0.0),
        ("a b", "a c", 0.1 * 5 / (4 * 1.1 + 1.1)),  # `a` is a stop word: 0.1 of 1.1 both ways
        ("x y", "x", 5 * 1 * 0.5 / (4 * 1 + 0.5)),
        ("x", "x y", 5 * 0.5 * 1 / (4 * 0.5 + 1)),
        ("日本語", "日本", 5 * (2 / 3) / (4 * 1 + 2 / 3)),
    ],
)
def test_overlap_is_the_f_measure_of_weighted_terms(
    claim: str, source: str, expected: float
) -> None:
    assert overlap(claim, source) == pytest.approx(expected)


def test_passages_are_sentences_and_pairs_of_one_source() -> None:
    sources = ["One. Two. Three.", "Four."]
    passages = Passages(sources)
    shown = [
        (number, sources[number][span.start : span.end])
        for number, span in map(passages.place, range(len(passages)))
    ]
    assert shown == [
        *((0, "One."), (0, "Two."), (0, "Three."), (1, "Four.")),
        *((0, "One. Two."), (0, "Two. Three.")),
    ]
    assert passages.sentences == ["One.", "Two.", "Three.", "Four."]


def test_long_sentences_are_quoted_by_lines() -> None:
    code = "x = 1  \n" * 100
    assert {code[span.start : span.end] for span in quotable(code)} == {"x = 1"}


def test_vector_of_a_pair_is_the_mean_of_both() -> None:
    passages = Passages(["One. Two."])
    vectors = np.array([[1.0, 0.0], [0.0, 1.0]])
    cosines = passages.similarities(np.array([1.0, 0.0]), vectors)
    assert cosines.tolist() == pytest.approx([1.0, 0.0, 0.5**0.5])


@pytest.mark.parametrize(
    ("claim", "source"),
    [
        ("Die Straße", "DIE STRASSE"),
        ("caf\u00e9", "cafe\u0301"),
        ("\ufb01nance", "finance"),
        ("\uff26\uff55\uff4c\uff4c", "full"),
    ],
)
def test_forms_of_a_word_are_the_same_word(claim: str, source: str) -> None:
    assert overlap(claim, source) == pytest.approx(1.0)
