"""From prompts to token ids, over a vocabulary of single characters."""

import sys
from collections.abc import Mapping
from dataclasses import replace
from typing import ClassVar

import pytest

from llm_api.core.errors import ContextLengthExceededError, InvalidRequestError
from llm_api.core.llm.prompt.carrying import Segment
from llm_api.core.llm.prompt.encode import LONGEST_TEXT, PromptEncoder
from llm_api.core.llm.prompt.template import ChatTemplate
from llm_api.core.llm.types import (
    ChatPrompt,
    FillInPrompt,
    FillInTokens,
    MarkedText,
    Message,
    TextPrompt,
    TokenPrompt,
)

BOS, START = 1, 2
CONTROL = {"<s>": BOS, "<start>": START}


class LetterTokenizer:
    """One token a character (its code point), and two control tokens."""

    vocabulary_size = 1000
    longest_token = 7
    bos_text = "<s>"
    eos_text = ""
    fill_in = FillInTokens(3, 4, 5)
    control_tokens: ClassVar[Mapping[str, int]] = CONTROL

    def __init__(self, *, adds_bos: bool = True) -> None:
        self.adds_bos = adds_bos

    def tokenize(self, text: str, *, add_special: bool, parse_special: bool) -> list[int]:
        tokens = [BOS] if add_special and self.adds_bos else []
        while text:
            control = next((name for name in CONTROL if text.startswith(name)), None)
            if parse_special and control is not None:
                tokens.append(CONTROL[control])
                text = text.removeprefix(control)
            else:
                tokens.append(ord(text[0]))
                text = text[1:]
        return tokens

    def piece(self, token: int) -> bytes:
        return chr(token).encode()


WORDS = "{{ messages[0].content }}"


def encoder(
    template: str = WORDS,
    *,
    adds_bos: bool = True,
    context: int = 64,
    template_is_whole: bool = False,
) -> PromptEncoder:
    tokenizer = LetterTokenizer(adds_bos=adds_bos)
    chat_template = ChatTemplate(
        template,
        bos_text=tokenizer.bos_text,
        eos_text=tokenizer.eos_text,
        control_texts=frozenset(tokenizer.control_tokens),
    )
    return PromptEncoder(tokenizer, chat_template, context, template_is_whole=template_is_whole)


def chat(text: str) -> ChatPrompt:
    return ChatPrompt((Message("user", text),))


def test_the_template_s_control_texts_become_tokens_and_the_message_s_do_not() -> None:
    tokens = encoder("<start>" + WORDS).encode(chat("a<start>")).tokens
    assert tokens == (BOS, START, ord("a"), *map(ord, "<start>"))


@pytest.mark.parametrize(("begin", "adds_bos"), [("<s>", True), ("", True), ("<s>", False)])
def test_there_is_exactly_one_bos(begin: str, adds_bos: bool) -> None:
    whole = encoder(begin + WORDS, adds_bos=adds_bos)
    assert whole.encode(chat("x")).tokens == (BOS, ord("x"))


def test_nothing_is_added_to_a_template_that_is_whole() -> None:
    whole = encoder(WORDS, template_is_whole=True)
    assert whole.encode(chat("x")).tokens == (ord("x"),)
    assert whole.encode(TextPrompt("x")).tokens == (BOS, ord("x"))


def test_raw_text_is_not_parsed_for_control_tokens() -> None:
    assert encoder().encode(TextPrompt("<s>")).tokens == (BOS, *map(ord, "<s>"))


@pytest.mark.parametrize("adds_bos", [True, False])
def test_text_to_fill_in_begins_with_bos_and_has_no_other_control_tokens(adds_bos: bool) -> None:
    tokens = encoder(adds_bos=adds_bos).encode(FillInPrompt("<s>", "b")).tokens
    assert tokens == (*[BOS] * adds_bos, 3, *map(ord, "<s>"), 4, ord("b"), 5)


def test_text_to_fill_in_is_cut_only_on_request() -> None:
    long = FillInPrompt("a" * 100, "b", param="input_prefix")
    with pytest.raises(ContextLengthExceededError) as caught:
        encoder().encode(long)
    assert caught.value.param == "input_prefix"
    assert len(encoder().encode(replace(long, is_windowed=True)).tokens) < 64


def test_token_ids_are_taken_as_they_are() -> None:
    assert encoder().encode(TokenPrompt((5, 6, 7))).tokens == (5, 6, 7)


@pytest.mark.parametrize("token", [-1, 1000, 2**40])
def test_ids_out_of_the_vocabulary_are_refused_by_position(token: int) -> None:
    with pytest.raises(InvalidRequestError, match="position 1"):
        encoder().encode(TokenPrompt((5, token)))


def test_an_empty_prompt_is_refused() -> None:
    with pytest.raises(InvalidRequestError, match="empty"):
        encoder(adds_bos=False).encode(TextPrompt(""))


def test_a_prompt_must_leave_room_for_one_token() -> None:
    within = encoder(context=10).encode(TextPrompt("x" * 8)).tokens
    assert len(within) == 9
    with pytest.raises(ContextLengthExceededError, match="10 tokens"):
        encoder(context=10).encode(TextPrompt("x" * 9))


def test_what_cannot_fit_is_refused_without_tokenising_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def unexpected(*args: object, **options: object) -> list[int]:
        raise AssertionError("tokenised")

    monkeypatch.setattr(LetterTokenizer, "tokenize", unexpected)
    for prompt in (TextPrompt("x" * 1000), chat("x" * 1000)):
        with pytest.raises(ContextLengthExceededError):
            encoder(context=10).encode(prompt)


def test_of_what_is_far_too_long_the_rest_is_not_tokenised(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def spy(self: LetterTokenizer, text: str, **options: bool) -> list[int]:
        seen.append(text)
        return tokenize(self, text, **options)

    seen: list[str] = []
    tokenize = LetterTokenizer.tokenize
    patched = encoder(context=10)
    monkeypatch.setattr(LetterTokenizer, "tokenize", spy)
    with pytest.raises(ContextLengthExceededError, match="more than 21 tokens"):
        patched.encode(chat("<s>x" * 17))
    assert len(seen) < 20


@pytest.mark.parametrize("turns", [["x" * 1000], ["x"] * 11, [" x "] * 11])
def test_turns_that_cannot_fit_are_not_rendered(
    turns: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def unexpected(*args: object) -> list[Segment]:
        raise AssertionError("rendered")

    small = encoder(context=10)
    monkeypatch.setattr(ChatTemplate, "render", unexpected)
    with pytest.raises(ContextLengthExceededError):
        small.encode(ChatPrompt(tuple(Message("user", text) for text in turns)))


def test_answers_and_blanks_may_be_left_out_by_the_template() -> None:
    turns = [*[Message("user", " ")] * 20, Message("assistant", "x" * 1000), Message("user", "y")]
    template = (
        "{% for turn in messages if turn.role == 'user' %}{{ turn.content | trim }}{% endfor %}"
    )
    assert encoder(template, context=10).encode(ChatPrompt(tuple(turns))).tokens == (BOS, ord("y"))


@pytest.fixture
def of_any_length(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """A vocabulary whose tokens have no longest one, and drops every `z`; the sizes it is given."""

    def dropping(self: LetterTokenizer, text: str, **options: bool) -> list[int]:
        sizes.append(len(text))
        return tokenize(self, text.replace("z", ""), **options)

    sizes: list[int] = []
    tokenize = LetterTokenizer.tokenize
    monkeypatch.setattr(LetterTokenizer, "longest_token", sys.maxsize)
    monkeypatch.setattr(LetterTokenizer, "tokenize", dropping)
    return sizes


def test_what_is_far_too_long_by_its_beginning_is_not_tokenised_whole(
    of_any_length: list[int],
) -> None:
    for prompt in (TextPrompt("x" * 10_000), chat("z" * 1000 + "x" * 10_000)):
        with pytest.raises(ContextLengthExceededError):
            encoder(context=10).encode(prompt)
    assert max(of_any_length) < 3000


def test_a_long_text_of_few_tokens_fits(of_any_length: list[int]) -> None:
    prompt = TextPrompt("z" * 10_000 + "x")
    assert encoder(context=10).encode(prompt).tokens == (BOS, ord("x"))
    assert sum(of_any_length) < 30_000


def test_a_text_is_made_tokens_of_as_it_is_asked() -> None:
    assert encoder().tokenize(MarkedText("<s>x")).tokens == (*map(ord, "<s>x"),)
    assert encoder().tokenize(MarkedText("<s>x", parses_special=True)).tokens == (BOS, ord("x"))
    assert encoder().tokenize(MarkedText("x", adds_special=True)).tokens == (BOS, ord("x"))


def test_tokens_of_a_conversation_are_those_of_its_prompt() -> None:
    whole = encoder("<start>" + WORDS)
    assert whole.tokenize(chat("ab")) == whole.encode(chat("ab"))


def test_more_tokens_than_the_context_holds_are_told() -> None:
    assert len(encoder(context=10).tokenize(MarkedText("x" * 500)).tokens) == 500
    with pytest.raises(InvalidRequestError, match="at most"):
        encoder().tokenize(MarkedText("x" * (LONGEST_TEXT + 1)))


def test_ids_are_checked_before_they_are_spelt() -> None:
    assert encoder().checked_ids([5, 6]) == (5, 6)
    with pytest.raises(InvalidRequestError, match="position 0"):
        encoder().checked_ids([1000])
