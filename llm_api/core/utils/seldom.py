"""Saying again and again what goes on and on, but not each time."""

import time
from collections.abc import Callable


class Seldom:
    """Is due at most once in so many seconds."""

    def __init__(self, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._seconds = seconds
        self._clock = clock
        self._due_at = float("-inf")

    def is_due(self) -> bool:
        """Whether so long has passed since this last was true."""
        now = self._clock()
        is_due = now >= self._due_at
        if is_due:
            self._due_at = now + self._seconds
        return is_due
