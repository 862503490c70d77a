"""Prompt lookup: what is drafted, and when not."""

import pytest

from llm_api.core.llm.engine.drafting import LONGEST_PAUSE, PromptLookup


@pytest.mark.parametrize(
    ("tokens", "draft"),
    [
        ([], ()),
        ([1, 2], ()),
        ([1, 2, 3], ()),
        ([1, 2, 3, 4, 5, 6], ()),
        ([1, 2, 3, 4, 5, 1, 2, 3], (4, 5)),
        ([1, 2, 3, 7, 1, 2, 3, 8, 1, 2, 3], (8, 1)),  # the latest occurrence
        ([1, 1, 1, 1], (1,)),  # what follows may be the last token itself
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
    assert lookup.draft(8) == (4, 1)


def test_the_limit_bounds_a_draft() -> None:
    assert PromptLookup([1, 2, 3, 4, 5, 1, 2, 3], longest=8).draft(1) == (4,)
    assert PromptLookup([1, 2, 3, 4, 5, 1, 2, 3], longest=8).draft(0) == ()


def test_drafts_grow_with_hits_up_to_the_longest() -> None:
    lookup = PromptLookup([*range(20), 0, 1, 2], longest=6)
    lengths = []
    for _ in range(4):
        draft = lookup.draft(20)
        lengths.append(len(draft))
        lookup.learn(len(draft), len(draft))
    assert lengths == [2, 4, 6, 6]


def test_misses_pause_drafting_for_longer_and_longer_and_a_hit_ends_that() -> None:
    lookup = PromptLookup([1, 2, 3, 4, 5, 1, 2, 3], longest=8)
    pauses = []
    for _ in range(7):
        waited = 0
        while not lookup.draft(8):
            waited += 1
        pauses.append(waited)
        lookup.learn(2, 0)
    assert pauses == [0, 1, 3, 7, 15, 31, LONGEST_PAUSE]
    while not lookup.draft(8):
        pass
    lookup.learn(2, 2)
    assert lookup.draft(8)
