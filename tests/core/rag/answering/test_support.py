import pytest

from llm_api.core.errors import EmbeddingError
from llm_api.core.rag.answering.overlap import overlap, passages, terms
from llm_api.core.rag.answering.support import (
    COMBINED_THRESHOLD,
    LEXICAL_THRESHOLD,
    SupportCheck,
    verify,
)
from llm_api.core.rag.types import Chunk, Span
from tests.core.rag.fakes import FakeEmbedder

TEXT = "Docker packs programs in containers. A container shares the kernel. Images are layers."
SOURCES = [Chunk("c", "d", 0, TEXT, Span(100, 100 + len(TEXT)))]


def test_sentence_with_a_like_passage_is_supported_and_an_invented_one_is_not() -> None:
    answer = "Containers share the kernel [1]. Whales live in the sea [1]. [1]"
    shared, invented = SupportCheck(answer, SOURCES).judge()
    assert (shared.supported, invented.supported) == (True, False)
    assert shared.sentence == answer[shared.place.start : shared.place.end]
    assert shared.sentence == "Containers share the kernel [1]."
    assert shared.document_id == "d"
    assert shared.span is not None
    assert TEXT[shared.span.start - 100 : shared.span.end - 100] == (
        "A container shares the kernel."
    )
    assert 0 <= invented.score < shared.score <= 1


def test_similarity_supports_what_is_said_in_other_words() -> None:
    check = SupportCheck("The operating system is common to all.", SOURCES)
    place = check.passages.index("A container shares the kernel.")
    similarities = [[0.0] * len(check.passages)]
    assert not next(check.judge()).supported
    assert not next(check.judge(similarities)).supported
    similarities[0][place] = 1.0
    found = next(check.judge(similarities))
    assert found.score >= COMBINED_THRESHOLD
    assert found.supported
    assert found.span == Span(100 + TEXT.index("A con"), 100 + TEXT.index(" Images"))


@pytest.mark.parametrize(
    ("answer", "sources"), [("", SOURCES), ("[1] ...", SOURCES), ("Words.", [])]
)
def test_nothing_to_compare_supports_nothing(answer: str, sources: list[Chunk]) -> None:
    found = list(SupportCheck(answer, sources).judge())
    assert [support.supported for support in found] == [False] * (answer == "Words.")
    assert all(support.span is None for support in found)


def test_similarities_have_one_number_for_each_passage() -> None:
    with pytest.raises(ValueError, match="zip"):
        list(SupportCheck("Words.", SOURCES).judge([[1.0]]))


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
    assert overlap(terms(claim), terms(source)) == pytest.approx(expected)


def test_passages_are_sentences_pairs_of_them_and_lines_of_what_has_none() -> None:
    text = "One. Two. Three."
    assert [text[span.start : span.end] for span in passages(text)] == [
        *("One.", "Two.", "Three."),
        *("One. Two.", "Two. Three."),
    ]
    code = "x = 1  \n" * 100
    assert {code[span.start : span.end] for span in passages(code)} == {"x = 1", "x = 1  \nx = 1"}


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
    assert overlap(terms(claim), terms(source)) == pytest.approx(1.0)


ANIMALS = [
    Chunk("c", "d", 0, "Cats sleep long.", Span(0, 16)),
    Chunk("e", "d", 1, "Rain falls.", Span(17, 28)),
]


async def test_each_claim_is_compared_with_each_passage() -> None:
    embedder = FakeEmbedder()
    support = await verify(embedder, "Cats sleep long. Dogs bark loud.", ANIMALS)
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
    assert await verify(embedder, "", ANIMALS) == []
    assert embedder.requests == []


async def test_words_alone_decide_where_the_embedder_fails() -> None:
    embedder = FakeEmbedder(failures={"Cats": EmbeddingError("No vector.")})
    (support,) = await verify(embedder, "Cats sleep long.", ANIMALS)
    assert support.score == pytest.approx(1.0)
    assert support.score >= LEXICAL_THRESHOLD
