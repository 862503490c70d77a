"""Guesses what comes next from what has been said: prompt-lookup drafting. No model, no llama.cpp.

Answers that quote their context repeat runs of its tokens. Where the last few tokens have occurred
before, what followed them then is the guess. The model verifies drafted guesses in one step, and
every token it would not have drawn itself is thrown away. Source: Saxena, "Prompt Lookup
Decoding", 2023.

There is a guess at most tokens of a text that repeats, drafted or not, so each token that is drawn
tells whether guesses hold: that costs no row of a step. Knows chances, not what they are worth.
"""

from collections.abc import Sequence
from itertools import cycle, islice
from typing import Final

NGRAMS: Final = (3, 2)
"""How many tokens have to match, more before fewer. One matches by chance more often than not."""

MEMORY: Final = 0.9
"""What is left of a trial's weight after the next one."""

_HOLDING: Final = 0
"""The kind of a guess that goes on where one was right; else its kind is its n-gram's length."""

_AT_FIRST: Final = {_HOLDING: (0.7, 2.0), 3: (0.3, 4.0), 2: (0.15, 4.0)}
"""Chances, and the number of trials that they are worth, before there was any."""


class HitRate:
    """How often guesses held lately. Begins with a few trials that were not."""

    def __init__(self, chance: float, trials: float) -> None:
        self._hits = chance * trials
        self._trials = trials

    @property
    def chance(self) -> float:
        """Of the next guess."""
        return self._hits / self._trials

    def add(self, *, is_hit: bool) -> None:
        self._hits = MEMORY * self._hits + is_hit
        self._trials = MEMORY * self._trials + 1


class PromptLookup:
    """The n-grams of one sequence, and how often what followed them followed again."""

    def __init__(self, tokens: Sequence[int], longest: int) -> None:
        """Index the prompt. `longest` bounds a draft."""
        self._tokens = list(tokens)
        self._longest = longest
        # Where the token after each n-gram stands; the n-gram at the very end has none yet.
        self._followers: dict[tuple[int, ...], int] = {}
        for position in range(1, len(self._tokens)):
            self._index(position)
        self._rates = {kind: HitRate(*first) for kind, first in _AT_FIRST.items()}
        self._is_holding = False  # whether the last guess was right
        self._guess, self._kind = self._find()

    def append(self, token: int) -> None:
        """Take in a token that was drawn, and whether it was the guess."""
        is_hit = self._guess is not None and self._tokens[self._guess] == token
        if self._guess is not None:
            self._rates[self._kind].add(is_hit=is_hit)
        self._is_holding = is_hit
        self._tokens.append(token)
        self._index(len(self._tokens) - 1)
        self._guess, self._kind = self._find()

    def draft(self, limit: int) -> tuple[int, ...]:
        """Up to `limit` tokens that may come next; none where nothing has matched.

        Where what followed is over, it is taken to repeat: a text that goes round is drafted on.
        """
        if self._guess is None:
            return ()
        followed = self._tokens[self._guess : self._guess + self._longest]
        length = min(self._longest, limit)
        return tuple(islice(cycle(followed), max(length, 0)))

    def chances(self, length: int) -> list[float]:
        """How likely the first token of a draft is drawn, the first two are, and so on."""
        chance = self._rates[self._kind].chance
        further = self._rates[_HOLDING].chance
        return [chance * further**position for position in range(length)]

    def _find(self) -> tuple[int | None, int]:
        """Where the guess stands, and its kind."""
        for length in NGRAMS:
            found = self._followers.get(tuple(self._tokens[-length:]))
            if found is not None:
                return found, _HOLDING if self._is_holding else length
        return None, _HOLDING

    def _index(self, position: int) -> None:
        for length in NGRAMS:
            if position >= length:
                self._followers[tuple(self._tokens[position - length : position])] = position
