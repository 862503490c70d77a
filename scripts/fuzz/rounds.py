"""Rounds of examples for one thing that must bear them all. Knows no target."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.strategies import SearchStrategy

Example = TypeVar("Example")

ROUND_EXAMPLES = 500


@dataclass(frozen=True, slots=True)
class Target(Generic[Example]):
    """What is tried. `check` raises, AssertionError foremost, for what must not happen."""

    examples: SearchStrategy[Example]
    check: Callable[[Example], None]


def run_round(target: Target[Example], number: int, examples: int = ROUND_EXAMPLES) -> None:
    """Try so many examples; the same ones for the same number.

    Raises what the check raised, for the smallest example that makes it raise, which is noted.
    """

    @seed(number)
    @settings(
        max_examples=examples,
        database=None,
        deadline=None,
        phases=(Phase.generate, Phase.shrink),
        suppress_health_check=list(HealthCheck),
    )
    @given(target.examples)
    def examine(example: Example) -> None:
        target.check(example)

    examine()


def hunt(target: Target[Example], first: int, seconds: float) -> int:
    """Rounds from number `first` on until the time is over; how many. Raises as they do."""
    end = time.monotonic() + seconds
    number = first
    while time.monotonic() < end:
        run_round(target, number)
        number += 1
    return number - first
