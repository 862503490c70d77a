"""How many tokens were guessed ahead, how many of them were right, and whether any are lately."""

from dataclasses import dataclass
from typing import Final

from llm_api.core.llm.observation import DraftStatus

LEARNING: Final = 1 / 32
"""Weight of a step in the share of those that guess."""

LEAST_SHARE: Final = 1 / 8
"""A way that guesses in fewer steps only tries now and then whether it would pay."""


@dataclass(slots=True)
class _Count:
    """One way of guessing. `share` is the part of the latest steps in which it guessed."""

    kind: str
    drafted: int = 0
    accepted: int = 0
    share: float = 1.0
    has_guessed: bool = False

    def add(self, drafted: int, accepted: int) -> None:
        self.drafted += drafted
        self.accepted += accepted
        self.has_guessed |= drafted > 0

    def end_step(self) -> None:
        self.share += LEARNING * (self.has_guessed - self.share)
        self.has_guessed = False

    def status(self) -> DraftStatus:
        return DraftStatus(self.kind, self.drafted, self.accepted, self.share >= LEAST_SHARE)


class DraftCounts:
    """The compute thread counts; anybody reads, and may see a step half counted."""

    def __init__(self, *, has_lookup: bool, has_model: bool) -> None:
        self._lookup = _Count("lookup")
        self._model = _Count("model")
        self._there = [self._lookup] * has_lookup + [self._model] * has_model

    def add(self, drafted: int, accepted: int, *, by_model: bool) -> None:
        """Count the guesses for one sequence in a step."""
        (self._model if by_model else self._lookup).add(drafted, accepted)

    def end_step(self) -> None:
        """The step in which these were, or none, is over."""
        self._lookup.end_step()
        self._model.end_step()

    def status(self) -> tuple[DraftStatus, ...]:
        """Of the ways that there are."""
        return tuple(one.status() for one in self._there)
