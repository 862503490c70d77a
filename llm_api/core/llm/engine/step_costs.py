"""What a step takes by its rows, as steps have shown, and how many guesses pay by that. Pure.

A row more costs anything between nothing and a whole step: kernels take one row, four or sixteen at
a time. Measured here, milliseconds:

| rows | 1 | 2 | 4 | 8 | 16 |
|---|---|---|---|---|---|
| SmolLM2-135M, Q4_1 | 6.0 | 11.7 | 16.2 | 25 | 39 |
| Qwen2.5-Coder-1.5B, Q4_K_M | 27 | 45 | 69 | 117 | 132 |
| the same, F16 | 75 | 96 | 112 | 154 | 203 |

Nothing is measured beforehand: a number of rows that no step has had is taken to be cheap, so that
it is tried where a guess is likely, and what the step took is known then.
"""

import math
from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

POINTS: Final = (1, 2, 4, 8, 16, 32)
"""The numbers of rows whose times are learnt."""

CHEAP_ROW: Final = 0.1
"""What one more row is taken to add, as a part of a step of one, until a step shows it."""

TRIALS: Final = 2
"""The first steps of a point; the shorter counts, as others slow the rest."""

LEARNING_RATE: Final = 0.1
MOST_WRONG: Final = 4.0
"""A step that took so many times what it should was held up, which says nothing of the next."""

LEAST_GAIN: Final = 1.03
"""How much faster guesses must promise to be: less is within what measuring is wrong by."""


@dataclass(frozen=True, slots=True)
class DraftLength:
    """How many guesses each sequence should have, and how many times faster that is than none."""

    length: int
    gain: float


@dataclass(frozen=True, slots=True)
class StepCosts:
    """Points `(rows, seconds)`, ascending. Between them it is in proportion, behind them as before.

    `wants_equal`: whether sequences with unequal numbers of rows are computed piece by piece, so
    that those with fewer are better given as many. `is_assumed`: whether steps change nothing.
    `trials`: of each point, how many of its first steps are still to come; none where it is empty.
    """

    points: tuple[tuple[int, float], ...]
    wants_equal: bool = True
    is_assumed: bool = False
    trials: tuple[int, ...] = ()

    def seconds(self, rows: int) -> float:
        """Of a step of so many rows."""
        at = min(max(bisect_left(self.points, (rows, 0.0)), 1), len(self.points) - 1)
        (few, short), (many, long) = self.points[at - 1], self.points[at]
        return short + (long - short) * (rows - few) / (many - few)

    def cautious(self) -> "StepCosts":
        """These, with what no step has shown as dear as the rows before it: for a costly try."""
        if not any(self.trials):
            return self
        points = [*self.points]
        tried = [at for at, left in enumerate(self.trials) if left < TRIALS]
        for at in range(2, len(points)):
            before = [one for one in tried if one < at][-2:]
            if at not in tried and len(before) > 1:
                known = replace(self, points=tuple(self.points[one] for one in before))
                rows, seconds = points[at]
                points[at] = rows, max(seconds, known.seconds(rows))
        return replace(self, points=tuple(points))

    def learnt(self, rows: int, seconds: float) -> "StepCosts":
        """These with what a step took: the nearest point moves a part of the way.

        At its first steps it moves all the way. So costs follow longer contexts.
        """
        if self.is_assumed:
            return self
        ratio = seconds / self.seconds(rows)
        at = min(range(len(self.points)), key=lambda index: abs(self.points[index][0] - rows))
        before = self.points[at][1]
        if self.trials and self.trials[at]:
            is_first = self.trials[at] == TRIALS
            trials = (*self.trials[:at], self.trials[at] - 1, *self.trials[at + 1 :])
            return self._with(at, before * (ratio if is_first else min(ratio, 1.0)), trials)
        if not 1 / MOST_WRONG < ratio < MOST_WRONG:
            return self
        return self._with(at, before * (1 + LEARNING_RATE * (ratio - 1)), self.trials)

    def _with(self, at: int, seconds: float, trials: tuple[int, ...]) -> "StepCosts":
        """These with another time at a point. What nobody has tried is not below what is."""
        points = [*self.points]
        points[at] = (points[at][0], seconds)
        for behind in range(at + 1, len(points)):
            if not trials or trials[behind] < TRIALS:
                break
            points[behind] = (points[behind][0], max(points[behind][1], seconds))
        return replace(self, points=tuple(points), trials=trials)

    def best(
        self,
        chances: Sequence[Sequence[float]],
        room: int,
        guessing: Callable[[int], float] = lambda _length: 0.0,
    ) -> DraftLength:
        """How many guesses each sequence should have in a step: as many as are there, at most.

        `chances` of each sequence descend: of its first guess, of the first two, and so on. What is
        gained is the mean of the logarithms of their speeds, so that one that repeats itself does
        not run at the cost of others that do not. `guessing`: the seconds it takes to make so many.
        """
        streams = len(chances)
        tokens = [1.0] * streams
        best, none = 0, -math.log(self.seconds(streams) + guessing(0))
        best_speed = none
        for length in range(1, max(map(len, chances), default=0) + 1):
            for at, one in enumerate(chances):
                tokens[at] += one[length - 1] if len(one) >= length else 0.0
            rows = sum(length if self.wants_equal else min(length, len(one)) for one in chances)
            if rows > room:
                break
            seconds = self.seconds(streams + rows) + guessing(length)
            speed = sum(map(math.log, tokens)) / streams - math.log(seconds)
            if speed > best_speed + math.log(LEAST_GAIN):
                best, best_speed = length, speed
        return DraftLength(best, math.exp(best_speed - none))


def untried(one: float, *, wants_equal: bool) -> StepCosts:
    """Where a step of one row takes this long, and no other has been taken."""
    points = tuple((rows, one * (1 + CHEAP_ROW * (rows - 1))) for rows in POINTS)
    return StepCosts(points, wants_equal, trials=(TRIALS,) * len(POINTS))


def linear(row: float) -> StepCosts:
    """Where one more row adds this part of what a step of one row takes."""
    return StepCosts(tuple((rows, 1 + row * (rows - 1)) for rows in (1, 2)), False, is_assumed=True)


NO_GAIN: Final = linear(1.0)
"""No guess pays."""
