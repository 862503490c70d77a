"""What steps cost by their rows, and how many guesses pay by that: tables."""

import pytest

from llm_api.core.llm.engine.step_costs import StepCosts, linear, rising

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
    assert costs.best_length(chances, room=24) == length


def test_the_room_bounds_the_rows_of_guesses() -> None:
    assert linear(0.0).best_length([SURE, SURE], room=5) == 2


def test_what_was_measured_wrong_is_mended_by_steps() -> None:
    costs = StepCosts(((1, 1.0), (8, 3.0), (16, 3.0)))  # the last one is not true
    assert costs.best_length([UNSURE] * 8, room=24) == 1
    for _ in range(30):
        costs = costs.learnt(16, 6.0)
    assert costs.seconds(16) == pytest.approx(6.0, rel=0.1)
    assert costs.best_length([UNSURE] * 8, room=24) == 0


def test_a_step_that_was_held_up_teaches_nothing() -> None:
    assert FLAT_FROM_EIGHT.learnt(8, 60.0) == FLAT_FROM_EIGHT
    assert linear(0.5).learnt(1, 1.5) == linear(0.5), "nor do others where costs are assumed"


def test_a_step_is_not_slower_than_a_larger_one() -> None:
    assert rising([(1, 1.0), (2, 9.0), (4, 3.0), (8, 4.0)]) == (
        (1, 1.0),
        (2, 3.0),
        (4, 3.0),
        (8, 4.0),
    )
