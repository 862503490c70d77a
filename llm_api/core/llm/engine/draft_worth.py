"""Whether a draft model's guesses pay: what they cost here, and what they have brought. Pure.

The unit of time is a step of one row of the model itself; a cost is given in tokens that this time
would have brought without guesses. A guess pays where its chance to be drawn is greater than that.
"""

import math
from dataclasses import dataclass
from typing import Final

MOST: Final = 0.9
"""A guess that costs so much of a token pays too seldom to be tried."""

OWN_RATE: Final = 0.1
COMMON_RATE: Final = 0.02
"""Part that the latest attempt has in the mean: of its sequence's, and of that of all."""

FIRST_PAUSE: Final = 8
LONGEST_PAUSE: Final = 256
COMMON_PAUSE: Final = 64
"""Steps before a sequence guesses where guesses have not paid for others."""

USUAL_ANSWER: Final = 64
"""An answer is taken to go on for so many tokens, or for as many as it has already."""

LEAST_SAVING: Final = 0.05


@dataclass(frozen=True, slots=True)
class DraftCosts:
    """As measured: `row` is one more row in a step of the model itself.

    `guess` is a step of the draft model for one sequence, `guess_row` the same for one more of
    them, `read` a token of a longer text that it reads.
    """

    row: float
    guess: float
    guess_row: float
    read: float

    def checking(self, streams: int) -> float:
        """What it costs to check a guess, where so many sequences decode together."""
        return self.row * self._pace(streams)

    def guessing(self, streams: int) -> float:
        """What it costs to make a guess for each of them."""
        return (self.guess + self.guess_row * (streams - 1)) * self._pace(streams) / streams

    def reading(self, tokens: int, streams: int) -> float:
        """What it costs to read a text, while they all wait."""
        return self.read * tokens * self._pace(streams)

    def _pace(self, streams: int) -> float:
        """Tokens that a unit of time brings without guesses."""
        return streams / (1 + self.row * (streams - 1))


@dataclass(slots=True)
class Balance:
    """Means over attempts: tokens that guesses brought, and what they cost."""

    gained: float
    spent: float

    @property
    def is_positive(self) -> bool:
        return self.gained > self.spent

    @property
    def saving(self) -> float:
        """The part of the time that guesses save."""
        return max((self.gained - self.spent) / (1 + self.gained), LEAST_SAVING)

    def add(self, gained: float, spent: float, rate: float) -> None:
        self.gained += rate * (gained - self.gained)
        self.spent += rate * (spent - self.spent)


class CommonWorth:
    """What the guesses for all sequences taught: where a new one begins."""

    def __init__(self) -> None:
        self.balance = Balance(1.0, 0.5)
        self.trust = 0.5


class Worth:
    """What guesses are worth for one sequence. Asked once a step, told of each attempt."""

    def __init__(self, common: CommonWorth) -> None:
        self._common = common
        self._balance = Balance(common.balance.gained, common.balance.spent)
        self._pause = 0
        self._waiting = 0 if common.balance.is_positive else COMMON_PAUSE
        self.trust = common.trust
        """The exponent that makes a chance of a draft model's confidence; 1 believes it."""

    def may_guess(self) -> bool:
        """Whether it is worth an attempt in this step."""
        if self._waiting:
            self._waiting -= 1
            return False
        return True

    def may_read(self, cost: float, answered: int, left: int) -> bool:
        """Whether the rest of an answer is likely to be worth that its text is read first."""
        return cost <= self._balance.saving * min(max(answered, USUAL_ANSWER), left)

    def learn(self, chances: list[float], accepted: int, spent: float) -> None:
        """Take in an attempt: the chances of the guesses that were checked, and how many held."""
        self._common.balance.add(accepted, spent, COMMON_RATE)
        self._balance.add(accepted, spent, OWN_RATE)
        if chances:
            surprise = (sum(chances) - accepted) / len(chances)
            self.trust = _bounded(self.trust * math.exp(OWN_RATE * surprise))
            self._common.trust = _bounded(self._common.trust * math.exp(COMMON_RATE * surprise))
        if accepted > spent:
            self._pause = 0
        elif not self._balance.is_positive:
            self._pause = min(max(2 * self._pause, FIRST_PAUSE), LONGEST_PAUSE)
            self._waiting = self._pause
            # One more failure is enough, and one success to go on.
            self._balance = Balance(self._balance.spent, self._balance.spent)


def _bounded(trust: float) -> float:
    return min(max(trust, 0.05), 2.0)
