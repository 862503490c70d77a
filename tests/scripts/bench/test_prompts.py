import pytest

from scripts.bench.prompts import Prompts, single_token_words

WORDS = [f"{first}{second}{third}" for first in "abcde" for second in "fghij" for third in "klmno"]


def by_word(text: str) -> list[int]:
    return [hash(word) for word in text.split()]


def test_prompt_has_exactly_as_many_tokens_as_asked_for() -> None:
    assert [len(by_word(Prompts(WORDS, by_word).text(n, "x"))) for n in (1, 128, 1500)] == [
        1,
        128,
        1500,
    ]


def test_same_key_gives_the_same_prompt_and_another_key_another() -> None:
    prompts = Prompts(WORDS, by_word)
    keys: list[tuple[str | int, ...]] = [("A", 0, 0), ("A", 0, 1), ("A", 1, 0), ("B", 0, 0)]
    texts = {prompts.text(40, *key) for key in keys}
    assert len(texts) == len(keys)
    assert prompts.text(40, "A", 0, 0) in texts


def test_words_that_merge_are_an_error() -> None:
    prompts = Prompts(WORDS, lambda text: by_word(text)[1:])
    with pytest.raises(ValueError, match="10 words became 9 tokens"):
        prompts.text(10, "x")


def test_vocabulary_without_words_is_an_error() -> None:
    with pytest.raises(ValueError, match="too few words"):
        Prompts(WORDS[:99], by_word)


def test_words_are_single_tokens_with_a_space_before_and_without() -> None:
    pieces = [b" tree", b" house", b" Paris", b" of", b"stone", b" \xff\xfe", b" splitting"]
    tokens = {"tree": [1], "house": [2], "splitting": [3, 4]}
    assert single_token_words(pieces, tokens.__getitem__) == ["tree", "house"]
