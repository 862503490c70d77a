"""A thought ends in time, wherever it begins, and only between characters. A token is a byte."""

import pytest

from llm_api.core.llm.output.reasoning import MARKS, ReasoningMarks, Thinking
from llm_api.core.llm.output.thought_limit import Thought, ThoughtLimit, thought_tokens

THINK = MARKS[0]
FORCED = tuple(THINK.closing.encode())


def follow(text: str | bytes, tokens: int, thinking: Thinking = Thinking.POSSIBLE) -> str:
    """What the answer is if a model writes this: what is forced, it believes to have written."""
    limit = ThoughtLimit(Thought(THINK, thinking, FORCED), tokens, lambda token: bytes([token]))
    answer = b""
    for byte in text.encode() if isinstance(text, str) else text:
        answer += bytes([byte, *limit.accept(byte)])
    return answer.decode()


@pytest.mark.parametrize(
    ("thinking", "written", "answer"),
    [
        (Thinking.OPEN, "abcdef", "abc</think>def"),
        (Thinking.OPEN, "ab</think>cdef", "ab</think>cdef"),
        (Thinking.POSSIBLE, "<think>abcdef", "<think>abc</think>def"),
        (Thinking.POSSIBLE, " \n<think>abcdef", " \n<think>abc</think>def"),
        (Thinking.POSSIBLE, "abcdef", "abcdef"),
        (Thinking.POSSIBLE, "a <think>bcdef", "a <think>bcdef"),
        (Thinking.CLOSED, "<think>abcdef", "<think>abc</think>def"),
        # It thinks again, and has one token left.
        (Thinking.OPEN, "ab</think>\n<think>cdef", "ab</think>\n<think>c</think>def"),
        # What was a beginning of the mark is part of the thought.
        (Thinking.OPEN, "a</t", "a</</think>t"),
    ],
)
def test_a_thought_of_three_tokens_ends(thinking: Thinking, written: str, answer: str) -> None:
    # The mark's own eight tokens count as long as the thought is not over.
    tokens = 3 if "</think>" not in written else 11
    assert follow(written, tokens, thinking) == answer


def test_without_a_token_a_thought_ends_as_it_begins() -> None:
    assert follow("<think>abc", 0) == "<think></think>abc"


@pytest.mark.parametrize("character", ["é", "語", "🎉"])
def test_a_character_is_not_cut(character: str) -> None:
    assert follow(f"ab{character}cd", 3, Thinking.OPEN) == f"ab{character}</think>cd"


def test_bytes_that_are_no_character_do_not_keep_a_thought_open() -> None:
    limit = ThoughtLimit(Thought(THINK, Thinking.OPEN, FORCED), 1, lambda token: bytes([token]))
    forced = [tuple(limit.accept(0x80)) for _ in range(4)]
    assert FORCED in forced


@pytest.mark.parametrize(
    ("budget", "room", "tokens"),
    [
        (None, 800, 592),  # a quarter is left to the answer, and the mark
        (None, 100_000, 100_000 - 1024 - 8),
        (100, 800, 100),
        (5000, 800, 592),
        (0, 800, 0),
        (None, 4, 0),
        (7, 1, 0),
    ],
)
def test_room_is_left_for_the_answer(budget: int | None, room: int, tokens: int) -> None:
    assert thought_tokens(Thought(THINK, Thinking.OPEN, FORCED), budget, room) == tokens


@pytest.mark.parametrize(
    ("prompt", "added"),
    [
        ("user: hi\nassistant:", "<think>\n\n</think>\n\n"),
        ("user: hi\nassistant: <think>", "\n\n</think>\n\n"),
        ("user: hi\nassistant: <think>\n", "\n</think>\n\n"),
        ("user: hi\nassistant: <think>\n\n</think>\n\n", ""),
    ],
)
def test_a_prompt_is_followed_by_an_empty_thought(prompt: str, added: str) -> None:
    assert THINK.empty(prompt) == added


@pytest.mark.parametrize("marks", MARKS)
def test_behind_an_empty_thought_none_is_open(marks: ReasoningMarks) -> None:
    for prompt in ("hi", f"hi{marks.opening}"):
        assert marks.thinking(prompt + marks.empty(prompt)) is Thinking.CLOSED
