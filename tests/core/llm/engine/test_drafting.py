"""Prompt lookup: what is drafted, and when not."""

import pytest

from llm_api.core.llm.engine.drafting import PromptLookup


@pytest.mark.parametrize(
    ("tokens", "draft"),
    [
        ([], ()),
        ([1, 2], ()),
        ([1, 2, 3], ()),
        ([1, 2, 3, 4, 5, 6], ()),
        ([1, 2, 3, 4, 5, 1, 2, 3], (4, 5, 1, 2, 3, 4, 5, 1)),
        ([1, 2, 3, 7, 1, 2, 3, 8, 1, 2, 3], (8, 1, 2, 3, 8, 1, 2, 3)),  # the latest occurrence
        ([1, 1, 1, 1], (1,) * 8),  # what follows may be the last token itself
    ],
)
def test_what_followed_the_last_three_tokens_is_drafted(
    tokens: list[int], draft: tuple[int, ...]
) -> None:
    assert PromptLookup(tokens, longest=8).draft(8) == draft


def test_what_is_drawn_is_found_later() -> None:
    lookup = PromptLookup([1], longest=8)
    for token in (2, 3, 4, 1, 2, 3):
        lookup.append(token)
    assert lookup.draft(2) == (4, 1)


def test_the_limit_bounds_a_draft() -> None:
    assert PromptLookup([1, 2, 3, 4, 5, 1, 2, 3], longest=8).draft(1) == (4,)
    assert PromptLookup([1, 2, 3, 4, 5, 1, 2, 3], longest=8).draft(0) == ()


def chance_of(lookup: PromptLookup) -> float:
    [chance] = lookup.chances(1)
    return chance


def test_guesses_that_hold_become_likely_and_further_ones_less() -> None:
    lookup = PromptLookup([*range(20), 0, 1, 2], longest=6)
    chances = []
    for token in range(3, 17):
        chances.append(chance_of(lookup))
        lookup.append(token)
    assert chances == sorted(chances)
    assert chances[0] < 0.5 < chances[1]
    further = lookup.chances(6)
    assert 0.9 < further[0] < 1
    assert further == sorted(further, reverse=True)


def test_text_that_repeats_by_chance_alone_is_not_worth_a_guess() -> None:
    stem = [1, 2, 3]
    lookup = PromptLookup([*stem, 4], longest=8)
    for other in range(100, 140):
        for token in (*stem, other):  # what followed the stem before never follows again
            lookup.append(token)
    for token in stem:
        lookup.append(token)
    assert lookup.draft(8)
    assert chance_of(lookup) < 0.1


def test_two_tokens_match_where_three_do_not_but_say_less() -> None:
    lookup = PromptLookup([1, 2, 3, 4, 9, 2, 3], longest=8)
    assert lookup.draft(1) == (4,)
    assert chance_of(lookup) < chance_of(PromptLookup([1, 2, 3, 4, 1, 2, 3], longest=8))
