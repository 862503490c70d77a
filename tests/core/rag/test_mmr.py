import numpy as np
import pytest

from llm_api.core.rag.mmr import choose_diverse
from llm_api.core.rag.vector_store import Vector


def at(*degrees: float) -> list[Vector]:
    """Vectors of length 1 in these directions."""
    angles = np.radians(degrees)
    return [np.array([np.cos(one), np.sin(one)], dtype=np.float32) for one in angles]


TWINS_AND_ANOTHER = at(0, 1, 80)


@pytest.mark.parametrize(
    ("relevance", "diversity", "count", "chosen"),
    [
        ([0.9, 0.8, 0.5], 0.0, 3, [0, 1, 2]),
        ([0.9, 0.8, 0.5], 0.5, 3, [0, 2, 1]),
        ([0.9, 0.8, 0.5], 0.5, 2, [0, 2]),
        ([0.5, 0.8, 0.9], 1.0, 2, [2, 0]),
        ([9.0, 8.0, -50.0], 0.3, 2, [0, 1]),
        ([9.0, 8.0, 7.0], 0.6, 2, [0, 2]),
        ([0.7, 0.7, 0.7], 0.5, 2, [0, 2]),
    ],
)
def test_what_repeats_a_better_hit_comes_later(
    relevance: list[float], diversity: float, count: int, chosen: list[int]
) -> None:
    assert choose_diverse(relevance, TWINS_AND_ANOTHER, diversity, count) == chosen


def test_nothing_is_chosen_of_nothing() -> None:
    assert choose_diverse([], [], 0.5, 3) == []


def test_no_more_is_chosen_than_there_is() -> None:
    assert sorted(choose_diverse([1, 2, 3], TWINS_AND_ANOTHER, 0.5, 10)) == [0, 1, 2]
