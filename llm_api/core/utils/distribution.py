"""How values are spread: counted between fixed bounds, and summed up. What a histogram shows."""

import time
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import accumulate
from math import inf


class Distribution:
    """Values by the first of `bounds`, which ascend, that is not below them.

    One thread adds. Others may read, and see the latest value half added.
    """

    __slots__ = ("_bounds", "_counts", "total")

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds = bounds
        self._counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    def add(self, value: float) -> None:
        self._counts[bisect_left(self._bounds, value)] += 1
        self.total += value

    def add_all(self, values: Iterable[float]) -> None:
        for value in values:
            self.add(value)

    @contextmanager
    def timed(self) -> Iterator[None]:
        """Add the seconds that the block takes, however it ends."""
        began = time.perf_counter()
        try:
            yield
        finally:
            self.add(time.perf_counter() - began)

    def cumulative(self) -> list[tuple[float, int]]:
        """Of each bound, and of infinity at the end, how many values are not above it."""
        return list(zip((*self._bounds, inf), accumulate(self._counts), strict=True))
