"""What a draft model's guesses are worth for a sequence, by what has become of them. Pure."""

import math
from typing import Final

OWN_RATE: Final = 0.1
COMMON_RATE: Final = 0.02
"""Part that the latest guess has in the mean: of its sequence's, and of that of all."""

FIRST_PAUSE: Final = 8
LONGEST_PAUSE: Final = 256
COMMON_PAUSE: Final = 64
"""Steps before a sequence tries a guess where guesses do not pay; the first for a new one."""

USUAL_ANSWER: Final = 64
"""An answer is taken to go on for so many tokens, or for as many as it has already."""

READING: Final = 0.5
"""The part of what guesses are likely to save that may be spent on reading first."""

LEAST_SAVING: Final = 0.04
"""What they are taken to save where they do not pay: so a text may be read for a try."""


class CommonWorth:
    """What the guesses for all sequences taught: where a new one begins."""

    def __init__(self) -> None:
        self.hold = 0.8
        self.trust = 0.5


class Worth:
    """What guesses are worth for one sequence.

    `hold` is how likely a guess holds where those before it did; `trust` the exponent that makes a
    chance of a draft model's confidence: 1 believes it.
    """

    def __init__(self, common: CommonWorth) -> None:
        self._common = common
        self.hold = common.hold
        self.trust = common.trust
        self._pause = self._waiting = COMMON_PAUSE

    def expected(self, length: int) -> list[float]:
        """How likely the first of so many guesses holds, the first two do, and so on."""
        return [self.hold**count for count in range(1, length + 1)]

    def go_on(self) -> None:
        """Guesses pay in this step."""
        self._pause = self._waiting = 0

    def is_due(self) -> bool:
        """Whether one is worth a try in a step in which they do not pay: more and more seldom."""
        if self._waiting:
            self._waiting -= 1
            return False
        self._waiting = self._pause = min(max(2 * self._pause, FIRST_PAUSE), LONGEST_PAUSE)
        return True

    def may_read(self, cost: float, gain: float, answered: int, left: int) -> bool:
        """Whether the rest of an answer is likely to be worth that its text is read first.

        `cost` is in tokens that this time would have brought, `gain` how much faster guesses are.
        """
        saving = max(1 - 1 / gain, LEAST_SAVING)
        return cost <= READING * saving * min(max(answered, USUAL_ANSWER), left)

    def learn(self, chances: list[float], held: int) -> None:
        """Take in what became of guesses, by their chances: the first `held` of them held.

        Of those that were not checked as many as are known.
        """
        if not chances:
            return
        for index in range(min(held + 1, len(chances))):
            self.hold += OWN_RATE * ((index < held) - self.hold)
            self._common.hold += COMMON_RATE * ((index < held) - self._common.hold)
        surprise = (sum(chances) - held) / len(chances)
        self.trust = _bounded(self.trust * math.exp(OWN_RATE * surprise))
        self._common.trust = _bounded(self._common.trust * math.exp(COMMON_RATE * surprise))


def _bounded(trust: float) -> float:
    return min(max(trust, 0.05), 2.0)
