import pytest

from scripts.bench.scenarios.scenario import Sample
from scripts.bench.turns import Record, busy_turns, turn_order


def test_each_round_begins_with_the_next_contestant() -> None:
    assert [turn_order(3, number) for number in range(4)] == [
        [0, 1, 2],
        [1, 2, 0],
        [2, 0, 1],
        [0, 1, 2],
    ]


@pytest.mark.parametrize(
    ("idle_share", "foreign_share", "expected"),
    [(0.0, 0.02, 0), (0.0, 0.3, 1), (0.3, 0.0, 1), (0.04, 0.04, 1)],
)
def test_turn_that_others_disturbed_is_counted(
    idle_share: float, foreign_share: float, expected: int
) -> None:
    record = Record(0, "A", "ours", Sample({}), 1.0, 2.0, 0.0, 0.5, idle_share, foreign_share)
    assert busy_turns([record]) == expected
