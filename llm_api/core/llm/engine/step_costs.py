"""What a step takes by its rows, as measured at start, and how many guesses pay by that. Pure.

A row more costs anything between nothing and a whole step: kernels take one row, four or sixteen at
a time. Measured here, milliseconds:

| rows | 1 | 2 | 4 | 8 | 16 |
|---|---|---|---|---|---|
| SmolLM2-135M, Q4_1 | 7.4 | 14.4 | 19.6 | 29 | 48 |
| Qwen2.5-Coder-1.5B, Q4_K_M | 26 | 49 | 85 | 163 | 157 |
"""

import math
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

MEASURED_ROWS: Final = (1, 2, 4, 8, 16, 32)

LEARNING_RATE: Final = 0.1
MOST_WRONG: Final = 4.0
"""A step that took so many times what it should was held up, which says nothing of the next."""

LEAST_GAIN: Final = 1.03
"""How much faster guesses must promise to be: less is within what measuring is wrong by."""


@dataclass(frozen=True, slots=True)
class StepCosts:
    """Points `(rows, seconds)`, ascending. Between them it is in proportion, behind them as before.

    `wants_equal`: whether sequences with unequal numbers of rows are computed piece by piece, so
    that those with fewer are better given as many. `is_assumed`: whether nobody has measured them.
    """

    points: tuple[tuple[int, float], ...]
    wants_equal: bool = True
    is_assumed: bool = False

    def seconds(self, rows: int) -> float:
        """Of a step of so many rows."""
        at = min(max(bisect_left(self.points, (rows, 0.0)), 1), len(self.points) - 1)
        (few, short), (many, long) = self.points[at - 1], self.points[at]
        return short + (long - short) * (rows - few) / (many - few)

    def learnt(self, rows: int, seconds: float) -> "StepCosts":
        """These with what a step took meanwhile: the nearest point moves a part of the way.

        So costs follow longer contexts, and what was measured on a busy machine is mended.
        """
        ratio = seconds / self.seconds(rows)
        if self.is_assumed or not 1 / MOST_WRONG < ratio < MOST_WRONG:
            return self
        points = [*self.points]
        at = min(range(len(points)), key=lambda index: abs(points[index][0] - rows))
        points[at] = (points[at][0], points[at][1] * (1 + LEARNING_RATE * (ratio - 1)))
        return replace(self, points=tuple(points))

    def best_length(self, chances: Sequence[Sequence[float]], room: int) -> int:
        """How many guesses each sequence should have in a step: as many as are there, at most.

        `chances` of each sequence descend: of its first guess, of the first two, and so on. What is
        gained is the mean of the logarithms of their speeds, so that one that repeats itself does
        not run at the cost of others that do not.
        """
        streams = len(chances)
        tokens = [1.0] * streams
        best, best_speed = 0, -math.log(self.seconds(streams))
        for length in range(1, max(map(len, chances), default=0) + 1):
            for at, one in enumerate(chances):
                tokens[at] += one[length - 1] if len(one) >= length else 0.0
            rows = sum(length if self.wants_equal else min(length, len(one)) for one in chances)
            if rows > room:
                break
            speed = sum(map(math.log, tokens)) / streams - math.log(self.seconds(streams + rows))
            if speed > best_speed + math.log(LEAST_GAIN):
                best, best_speed = length, speed
        return best


def linear(row: float) -> StepCosts:
    """Where one more row adds this part of what a step of one row takes."""
    return StepCosts(tuple((rows, 1 + row * (rows - 1)) for rows in (1, 2)), False, is_assumed=True)


NO_GAIN: Final = linear(1.0)
"""No guess pays."""


def rising(points: Sequence[tuple[int, float]]) -> tuple[tuple[int, float], ...]:
    """The points, none lower than one before it: that was something else on the machine. Pure."""
    lowest = [min(seconds for _, seconds in points[at:]) for at in range(len(points))]
    return tuple((rows, low) for (rows, _), low in zip(points, lowest, strict=True))
