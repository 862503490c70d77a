"""Words that stand for tokens."""

import pytest

from llm_api.core.errors import InvalidRequestError
from llm_api.core.llm.backends.words import count_words, last_words, split_words
from llm_api.core.llm.types import ChatPrompt, Message, TextPrompt, TokenPrompt

CONVERSATION = ChatPrompt(
    (
        Message("system", "Be brief."),
        Message("user", "One"),
        Message("assistant", "Two"),
        Message("user", "Three, four"),
        Message("assistant", "Five"),
    )
)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", []),
        ("Hello", ["Hello"]),
        ("Hello, big world!", ["Hello", ",", " big", " world", "!"]),
        ("  two\n\nlines \n", ["  two", "\n\nlines", " \n"]),
        (" \t", [" \t"]),
        ("größer 東京 🌍", ["größer", " 東京", " 🌍"]),
    ],
)
def test_text_is_split_before_white_space(text: str, words: list[str]) -> None:
    assert split_words(text) == words


@pytest.mark.parametrize("text", ["a\u0301b", "x\x00y", "\ud800", "…—'", "a\u2028 b\u200b "])
def test_words_of_odd_text_add_up_to_it(text: str) -> None:
    assert "".join(split_words(text)) == text


def test_last_turn_of_the_user_was_said_last() -> None:
    assert last_words(CONVERSATION) == "Three, four"
    assert last_words(TextPrompt("Once upon")) == "Once upon"
    assert last_words(ChatPrompt((Message("system", "Be brief."),))) == ""


def test_every_turn_counts() -> None:
    assert count_words(CONVERSATION) == 3 + 1 + 1 + 3 + 1


def test_token_ids_are_no_words() -> None:
    with pytest.raises(InvalidRequestError):
        last_words(TokenPrompt((1,)))
