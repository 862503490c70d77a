"""Text to fill in: its layout, and what of it is left out. One token a character."""

from itertools import pairwise

import pytest

from llm_api.core.llm.prompt.fill_in import fill_in_tokens
from llm_api.core.llm.types import ContextFile, FillInPrompt, FillInTokens

PREFIX, SUFFIX, MIDDLE, REPOSITORY, FILE = range(1, 6)
PLAIN = FillInTokens(PREFIX, SUFFIX, MIDDLE)
WHOLE = FillInTokens(PREFIX, SUFFIX, MIDDLE, REPOSITORY, FILE)
SIGNS = dict(zip(range(1, 6), "<|>RF", strict=True))


def tokens(text: str) -> tuple[int, ...]:
    return tuple(map(ord, text))


def laid_out(prompt: FillInPrompt, marks: FillInTokens = PLAIN, context: int = 10_000) -> str:
    """The tokens as text, the marks as single signs."""
    found = fill_in_tokens(prompt, marks, tokens, context)
    return "".join(SIGNS.get(token) or chr(token) for token in found)


def test_the_gap_comes_after_both_sides() -> None:
    assert laid_out(FillInPrompt("ab", "yz")) == "<ab|yz>"


def test_files_stand_before_the_text_under_their_names() -> None:
    prompt = FillInPrompt("ab", "yz", (ContextFile("a.h", "1"), ContextFile("b.h", "2")))
    assert laid_out(prompt, WHOLE) == "Rmyproject\nFa.h\n1Fb.h\n2Ffilename\n<ab|yz>"


def test_a_vocabulary_without_marks_for_files_has_them_as_snippets() -> None:
    prompt = FillInPrompt("ab", "yz", (ContextFile("a.h", "1"),))
    assert laid_out(prompt) == "\n\n--- snippet ---\n\n1<ab|yz>"


def test_a_window_holds_what_is_nearest_to_the_gap() -> None:
    prompt = FillInPrompt("a" * 500 + "end", "begin" + "z" * 500, is_windowed=True)
    text = laid_out(prompt, context=204)
    assert len(text) <= 204 * 3 // 4
    assert "end|begin" in text
    assert 2 * text.count("z") < text.count("a") < 500


def test_what_one_side_leaves_of_a_window_is_the_other_s() -> None:
    assert laid_out(FillInPrompt("a", "z" * 80, is_windowed=True), context=120).count("z") == 80


def test_of_files_the_last_are_kept_whole() -> None:
    files = tuple(ContextFile(name, name * 30) for name in "pqr")
    text = laid_out(FillInPrompt("ab", "yz", files, is_windowed=True), WHOLE, context=170)
    assert [text.count(name * 30) for name in "pqr"] == [0, 1, 1]


def test_a_window_moves_in_steps() -> None:
    """One more character before the gap leaves nearly all prefixes as they were."""
    letters = "".join(chr(0x4E00 + place) for place in range(1000))
    beginnings = [
        laid_out(FillInPrompt(letters[:end], "", is_windowed=True), context=160)[:8]
        for end in range(600, 700)
    ]
    changes = sum(a != b for a, b in pairwise(beginnings))
    assert changes <= 100 / (160 * 3 / 4 / 8) + 1


@pytest.mark.parametrize("context", [1, 2, 3, 8, 30])
def test_a_window_fits_however_small_it_is(context: int) -> None:
    files = (ContextFile("a", "b"),)
    prompt = FillInPrompt("a" * 99, "z" * 99, files, is_windowed=True)
    assert len(laid_out(prompt, context=context)) <= max(context * 3 // 4, 3)


def test_only_the_neighbourhood_of_the_gap_is_looked_at() -> None:
    seen = []

    def looking(text: str) -> tuple[int, ...]:
        seen.append(len(text))
        return tokens(text)

    files = (ContextFile("f", "x" * 1_000_000),)
    prompt = FillInPrompt("a" * 1_000_000, "z" * 1_000_000, files, is_windowed=True)
    fill_in_tokens(prompt, PLAIN, looking, 100)
    assert max(seen) <= 1600
