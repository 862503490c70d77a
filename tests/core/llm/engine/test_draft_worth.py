"""When a draft model's guesses are worth their cost."""

import pytest

from llm_api.core.llm.engine.draft_worth import (
    COMMON_PAUSE,
    FIRST_PAUSE,
    LONGEST_PAUSE,
    CommonWorth,
    DraftCosts,
    Worth,
)

CPU = DraftCosts(row=0.5, guess=0.25, guess_row=0.25, read=0.1)


@pytest.mark.parametrize(
    ("streams", "checking", "guessing"),
    [(1, 0.5, 0.25), (3, 0.75, 0.375), (9, 0.9, 0.45)],
)
def test_a_guess_costs_more_tokens_the_more_streams_share_a_step(
    streams: int, checking: float, guessing: float
) -> None:
    assert CPU.checking(streams) == pytest.approx(checking)
    assert CPU.guessing(streams) == pytest.approx(guessing)


def test_reading_costs_what_all_streams_would_have_written_meanwhile() -> None:
    assert CPU.reading(100, 1) == pytest.approx(10)
    assert CPU.reading(100, 3) == pytest.approx(15)


def pauses(worth: Worth, attempts: list[tuple[int, float]]) -> list[int]:
    """How many steps pass before each attempt."""
    found = []
    for gained, spent in attempts:
        waited = 0
        while not worth.may_guess():
            waited += 1
        found.append(waited)
        worth.learn([0.5], gained, spent)
    return found


def test_guesses_that_do_not_pay_come_less_and_less_often() -> None:
    found = pauses(Worth(CommonWorth()), [(0, 1.0)] * 14)
    first = next(index for index, waited in enumerate(found) if waited)
    assert first > 2, "not at the first miss"
    assert found[first:] == sorted(found[first:])
    assert found[first] == FIRST_PAUSE
    assert found[-1] == LONGEST_PAUSE


def test_one_success_after_a_pause_ends_the_pauses() -> None:
    worth = Worth(CommonWorth())
    pauses(worth, [(0, 1.0)] * 6)
    assert pauses(worth, [(4, 1.0)] * 3)[1:] == [0, 0]


def test_a_new_sequence_waits_where_guesses_have_not_paid_for_others() -> None:
    common = CommonWorth()
    pauses(Worth(common), [(0, 1.0)] * 100)
    assert pauses(Worth(common), [(0, 1.0)]) == [COMMON_PAUSE]


def test_guesses_that_always_hold_are_trusted_more_and_those_that_never_do_less() -> None:
    holds, fails = Worth(CommonWorth()), Worth(CommonWorth())
    begun = holds.trust
    for _ in range(50):
        holds.learn([0.5, 0.3], 2, 1.0)
        fails.learn([0.5, 0.3], 0, 1.0)
    assert holds.trust < begun < fails.trust, "the smaller the exponent, the greater the chance"


def test_a_long_text_is_read_for_a_long_answer_alone() -> None:
    worth = Worth(CommonWorth())
    assert worth.may_read(10, answered=1, left=500)
    assert not worth.may_read(10, answered=1, left=20)
    assert not worth.may_read(100, answered=1, left=5000)
    assert worth.may_read(100, answered=500, left=5000)
