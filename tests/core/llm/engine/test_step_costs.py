"""What steps cost by their rows, and how many guesses pay by that: tables."""

import pytest

from llm_api.core.llm.engine.step_costs import StepCosts, linear, untried

FLAT_FROM_EIGHT = StepCosts(((1, 1.0), (2, 2.0), (8, 6.0), (16, 6.0), (32, 12.0)))
SURE, UNSURE = [0.95, 0.9, 0.85, 0.8], [0.2]


@pytest.mark.parametrize(
    ("rows", "seconds"), [(1, 1.0), (2, 2.0), (5, 4.0), (8, 6.0), (12, 6.0), (24, 9.0), (48, 18.0)]
)
def test_costs_are_in_proportion_between_what_was_measured_and_beyond(
    rows: int, seconds: float
) -> None:
    assert FLAT_FROM_EIGHT.seconds(rows) == pytest.approx(seconds)


@pytest.mark.parametrize(
    ("costs", "chances", "length"),
    [
        (linear(0.0), [SURE], 4),  # rows are free
        (linear(1.0), [SURE], 0),  # a row costs a step
        (linear(0.5), [SURE], 3),  # the fourth would bring less than measuring is wrong by
        (linear(0.5), [UNSURE], 0),
        (linear(0.5), [[]], 0),
        (FLAT_FROM_EIGHT, [UNSURE] * 8, 1),  # eight rows more cost nothing
        (FLAT_FROM_EIGHT, [[0.1]] * 7, 0),  # of seven rows some are free
        (FLAT_FROM_EIGHT, [SURE, *[[]] * 7], 1),  # the others are given rows that are free
        (StepCosts(((1, 1.0), (8, 3.0), (16, 4.4))), [SURE, *[[]] * 7], 0),
        (StepCosts(((1, 1.0), (8, 3.0), (16, 4.4))), [SURE] * 8, 3),
        (linear(0.1), [SURE, *[[]] * 7], 0),  # seven would be slower
    ],
)
def test_guesses_pay_where_they_bring_more_tokens_a_second(
    costs: StepCosts, chances: list[list[float]], length: int
) -> None:
    assert costs.best(chances, room=24).length == length


def test_the_room_bounds_the_rows_of_guesses() -> None:
    assert linear(0.0).best([SURE, SURE], room=5).length == 2


def test_what_was_measured_wrong_is_mended_by_steps() -> None:
    costs = StepCosts(((1, 1.0), (8, 3.0), (16, 3.0)))  # the last one is not true
    assert costs.best([UNSURE] * 8, room=24).length == 1
    for _ in range(30):
        costs = costs.learnt(16, 6.0)
    assert costs.seconds(16) == pytest.approx(6.0, rel=0.1)
    assert costs.best([UNSURE] * 8, room=24).length == 0


def test_a_step_that_was_held_up_teaches_nothing() -> None:
    assert FLAT_FROM_EIGHT.learnt(8, 60.0) == FLAT_FROM_EIGHT
    assert linear(0.5).learnt(1, 1.5) == linear(0.5), "nor do others where costs are assumed"


def test_rows_that_no_step_has_had_are_taken_to_be_cheap_until_one_has() -> None:
    costs = untried(1.0, wants_equal=True)
    assert costs.best([UNSURE], room=24).length == 1
    costs = costs.learnt(1, 1.0).learnt(2, 1.9)
    assert costs.seconds(2) == pytest.approx(1.9)
    assert costs.seconds(4) == pytest.approx(1.9), "no less than fewer rows take"
    assert costs.best([UNSURE], room=24).length == 0


def test_of_the_first_two_steps_the_shorter_counts() -> None:
    costs = untried(1.0, wants_equal=True).learnt(2, 9.0).learnt(2, 1.5)
    assert costs.seconds(2) == pytest.approx(1.5)
    assert costs.learnt(2, 1.8).seconds(2) == pytest.approx(1.53), "then the mean moves"


def test_for_a_costly_try_rows_that_no_step_has_had_are_as_dear_as_those_before() -> None:
    costs = untried(1.0, wants_equal=True).learnt(1, 1.0)
    assert costs.cautious() == costs, "one number of rows says nothing of more"
    costs = costs.learnt(4, 2.5)
    assert costs.cautious().seconds(8) == pytest.approx(4.5)
    assert costs.seconds(8) == pytest.approx(2.5)
    assert costs.learnt(8, 2.6).cautious().seconds(8) == pytest.approx(2.6)


def test_what_it_takes_to_make_guesses_counts_as_what_it_takes_to_check_them() -> None:
    costs = linear(0.2)
    assert costs.best([SURE], 24, lambda length: 0.2 * length).length == 3
    assert costs.best([SURE], 24, lambda length: 0.9 * length).length == 0
    assert costs.best([SURE], 24, lambda _length: 0.9).length == 4, "made already"


def test_the_gain_is_how_many_times_faster_it_is() -> None:
    assert linear(0.0).best([[0.5]], 24).gain == pytest.approx(1.5)
    assert linear(1.0).best([[0.5]], 24).gain == pytest.approx(1.0)
