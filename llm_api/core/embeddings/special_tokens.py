"""The special tokens that a tokenizer puts around every text. Pure."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

Tokenize = Callable[[Sequence[str]], list[list[int]]]


@dataclass(frozen=True, slots=True)
class SpecialTokens:
    """What stands before and behind the tokens of a text."""

    opening: Sequence[int]
    closing: Sequence[int]

    @classmethod
    def of(cls, tokenize: Tokenize) -> "SpecialTokens":
        """Found by comparing the tokens of no text with those of some text."""
        nothing, something = tokenize(["", "a"])
        opening = 0
        while opening < len(nothing) and nothing[opening] == something[opening]:
            opening += 1
        return cls(nothing[:opening], nothing[opening:])

    def cut(self, ids: Sequence[int], length: int) -> Sequence[int]:
        """The first of `ids` that fit into `length`, with what stands behind them."""
        if len(ids) <= length:
            return ids
        return [*ids[: length - len(self.closing)], *self.closing]

    def inside(self, ids: Sequence[int]) -> Sequence[int]:
        """`ids` without as many at either end as are special; which they are is not looked at."""
        return ids[len(self.opening) : len(ids) - len(self.closing)]
