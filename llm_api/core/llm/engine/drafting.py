"""Guesses what comes next from what has been said: prompt-lookup drafting. No model, no llama.cpp.

Answers that quote their context repeat runs of its tokens. Where the last few tokens have occurred
before, what followed them then is drafted; the model verifies the draft in one step, and every
token it would not have drawn itself is thrown away. Source: Saxena, "Prompt Lookup Decoding", 2023.
"""

from collections.abc import Sequence

NGRAM = 3
"""Tokens that have to match. Shorter ones match by chance more often than they help."""

FIRST_LENGTH = 2
LONGEST_PAUSE = 32


class PromptLookup:
    """The n-grams of one sequence, and how well drafting has gone with it."""

    def __init__(self, tokens: Sequence[int], longest: int) -> None:
        """Index the prompt. `longest` bounds a draft."""
        self._tokens = list(tokens)
        self._longest = longest
        self._length = min(FIRST_LENGTH, longest)
        self._pause = 0  # steps without drafting, after a miss
        self._waiting = 0
        # Where the token after each n-gram stands; the n-gram at the very end has none yet.
        self._followers: dict[tuple[int, ...], int] = {}
        for position in range(NGRAM, len(self._tokens)):
            self._index(position)

    def append(self, token: int) -> None:
        """Take in a token that was drawn."""
        self._tokens.append(token)
        if len(self._tokens) > NGRAM:
            self._index(len(self._tokens) - 1)

    def draft(self, limit: int) -> tuple[int, ...]:
        """Up to `limit` tokens that may come next; none where nothing has matched."""
        if self._waiting:
            self._waiting -= 1
            return ()
        start = self._followers.get(tuple(self._tokens[-NGRAM:]))
        if start is None:
            return ()
        return tuple(self._tokens[start : start + min(self._length, limit)])

    def learn(self, drafted: int, accepted: int) -> None:
        """Draft more after a hit; after a miss less, and not at once again."""
        if accepted == drafted:
            self._length = min(self._length * 2, self._longest)
            self._pause = 0
        elif accepted == 0:
            self._length = min(FIRST_LENGTH, self._longest)
            self._pause = min(2 * self._pause + 1, LONGEST_PAUSE)
            self._waiting = self._pause

    def _index(self, position: int) -> None:
        self._followers[tuple(self._tokens[position - NGRAM : position])] = position
