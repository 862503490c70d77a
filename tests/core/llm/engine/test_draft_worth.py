"""What a draft model's guesses are taken to be worth."""

from llm_api.core.llm.engine.draft_worth import (
    COMMON_PAUSE,
    FIRST_PAUSE,
    LONGEST_PAUSE,
    CommonWorth,
    Worth,
)


def pauses(worth: Worth, tries: int) -> list[int]:
    """How many steps pass before each try."""
    found = []
    for _ in range(tries):
        waited = 0
        while not worth.is_due():
            waited += 1
        found.append(waited)
    return found


def test_where_guesses_do_not_pay_they_are_tried_more_and_more_seldom() -> None:
    found = pauses(Worth(CommonWorth()), 5)
    assert found == sorted(found)
    assert (found[0], found[-1]) == (COMMON_PAUSE, LONGEST_PAUSE)


def test_where_they_have_paid_they_are_tried_again_soon() -> None:
    worth = Worth(CommonWorth())
    pauses(worth, 5)
    worth.go_on()
    assert pauses(worth, 2) == [0, FIRST_PAUSE]


def test_what_is_expected_follows_what_has_held() -> None:
    worth = Worth(CommonWorth())
    begun = worth.expected(2)
    for _ in range(20):
        worth.learn([0.9, 0.8], held=2)
    assert worth.expected(2) > begun
    for _ in range(20):
        worth.learn([0.9, 0.8], held=0)
    assert worth.expected(1)[0] < 0.2


def test_a_guess_behind_one_that_did_not_hold_says_nothing() -> None:
    one, more = Worth(CommonWorth()), Worth(CommonWorth())
    one.learn([0.9], held=0)
    more.learn([0.9, 0.9, 0.9, 0.9], held=0)
    assert one.hold == more.hold


def test_a_new_sequence_begins_with_what_others_have_taught() -> None:
    common = CommonWorth()
    for _ in range(100):
        Worth(common).learn([0.9], held=0)
    assert Worth(common).hold < 0.2


def test_guesses_that_always_hold_are_trusted_more_and_those_that_never_do_less() -> None:
    holds, fails = Worth(CommonWorth()), Worth(CommonWorth())
    begun = holds.trust
    for _ in range(50):
        holds.learn([0.5, 0.3], held=2)
        fails.learn([0.5, 0.3], held=0)
    assert holds.trust < begun < fails.trust, "the smaller the exponent, the greater the chance"


def test_a_long_text_is_read_for_a_long_answer_and_a_gain_alone() -> None:
    worth = Worth(CommonWorth())
    assert worth.may_read(8, gain=1.5, answered=1, left=500)
    assert not worth.may_read(8, gain=1.0, answered=1, left=500)
    assert not worth.may_read(8, gain=1.5, answered=1, left=20)
    assert not worth.may_read(80, gain=1.5, answered=1, left=5000)
    assert worth.may_read(80, gain=1.5, answered=600, left=5000)
