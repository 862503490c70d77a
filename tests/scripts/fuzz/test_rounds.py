"""Rounds find what does harm, show the least of it, and can be run again."""

import pytest
from hypothesis import strategies as st

from scripts.fuzz.rounds import Target, hunt, run_round


def test_the_smallest_example_that_does_harm_is_shown() -> None:
    def check(number: int) -> None:
        assert number < 10

    with pytest.raises(AssertionError) as caught:
        run_round(Target(st.integers(), check), number=1)
    assert "example=10" in "".join(caught.value.__notes__)


def test_a_round_of_the_same_number_tries_the_same_examples() -> None:
    first: list[int] = []
    second: list[int] = []
    for seen in (first, second):
        run_round(Target(st.integers(), seen.append), number=7, examples=20)
    assert first == second
    assert len(first) >= 20


def test_a_hunt_ends_with_its_time() -> None:
    seen: list[int] = []
    assert hunt(Target(st.integers(), seen.append), first=1, seconds=0.01) == 1
    assert len(seen) > 20
