"""Prompts of an exact length in tokens, each different from its first word on.

They are common words in random order, each of which is one token with a space before it and
without: so every server makes the same number of tokens of the text.
"""

import random
import re
from collections.abc import Callable, Sequence

_WORD = re.compile(r"[a-z]{3,10}")

Tokenize = Callable[[str], Sequence[int]]


def single_token_words(pieces: Sequence[bytes], tokenize: Tokenize) -> list[str]:
    """Words that are one token at the start of a text and inside of it. Keeps the order."""
    words = []
    for piece in pieces:
        text = piece.decode("utf-8", "replace")
        if text.startswith(" ") and _WORD.fullmatch(text[1:]) and len(tokenize(text[1:])) == 1:
            words.append(text[1:])
    return words


class Prompts:
    """Writes prompts. The same key gives the same prompt, in every process."""

    def __init__(self, words: Sequence[str], tokenize: Tokenize) -> None:
        if len(words) < 100:
            raise ValueError("this model's vocabulary has too few words of one token")
        self._words = words
        self._tokenize = tokenize

    def text(self, tokens: int, *key: str | int) -> str:
        """A text of `tokens` tokens, BOS not counted. Raises ValueError where words merge."""
        choose = random.Random("/".join(map(str, key)))  # noqa: S311 - reproducible
        text = " ".join(choose.choices(self._words, k=tokens))
        if (count := len(self._tokenize(text))) != tokens:
            raise ValueError(f"a prompt of {tokens} words became {count} tokens")
        return text
