"""How fast an engine reads and writes: learnt from its steps, and kept for the last minute.

The compute thread writes; anybody reads, and may see a step half counted.
"""

from dataclasses import dataclass, field
from typing import Final

from llm_api.core.llm.engine.plan import StepPlan
from llm_api.core.llm.observation import EngineSecond

MINUTE: Final = 60
LEARNING: Final = 0.2
"""Weight of a step in what was learnt from those before it."""

SERVICE_LEARNING: Final = 0.1
"""Weight of a request in what was learnt from those before it; the first ones are a mean."""

LEAST_ROWS: Final = 16
"""Rows of prompts below which a step says nothing of how fast prompts are read."""

DEFAULT_SERVICE_SECONDS: Final = 1.0


@dataclass(slots=True)
class EnginePace:
    """Speeds are in tokens a second, None before there is one.

    `service_seconds` is how long a request holds its place, from its admission to its end.
    """

    read_speed: float | None = None
    write_speed: float | None = None
    service_seconds: float = DEFAULT_SERVICE_SECONDS
    _served: int = 0
    _stamps: list[int] = field(default_factory=lambda: [-1] * MINUTE)
    _seconds: list[list[int]] = field(default_factory=lambda: [[0] * 4 for _ in range(MINUTE)])

    def take(self, plan: StepPlan, written: int, began: float, now: float) -> None:
        """Take in a step that drew `written` tokens."""
        read = sum(
            len(span.tokens) - 1 - span.drafted if span.samples else len(span.tokens)
            for span in plan.spans
        )
        if now > began:
            if read >= LEAST_ROWS:
                self.read_speed = _learnt(self.read_speed, read / (now - began))
            elif written:
                self.write_speed = _learnt(self.write_speed, written / (now - began))
        second = self._second(int(now))
        second[0] += read
        second[1] += written
        second[2] += 1
        second[3] += len(plan.spans)

    def served(self, seconds: float) -> None:
        """Take in how long a request that has ended held its place."""
        self._served += 1
        weight = max(SERVICE_LEARNING, 1 / self._served)
        self.service_seconds += weight * (seconds - self.service_seconds)

    def minute(self, now: float) -> tuple[EngineSecond, ...]:
        """The last seconds, the running one at the end."""
        last = int(now)
        return tuple(
            EngineSecond(*self._seconds[stamp % MINUTE])
            if self._stamps[stamp % MINUTE] == stamp
            else EngineSecond()
            for stamp in range(last - MINUTE + 1, last + 1)
        )

    def _second(self, stamp: int) -> list[int]:
        index = stamp % MINUTE
        if self._stamps[index] != stamp:
            self._stamps[index], self._seconds[index] = stamp, [0] * 4
        return self._seconds[index]


def _learnt(before: float | None, now: float) -> float:
    return now if before is None else before + LEARNING * (now - before)
