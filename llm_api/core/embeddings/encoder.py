"""What a model in this process does: tokens out of texts, vectors out of tokens. Blocks."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeAlias

from llm_api.core.embeddings.embedder import Vectors

Pause: TypeAlias = Callable[[], None]

Tokenize: TypeAlias = Callable[[Sequence[str]], list[list[int]]]


def go_on() -> None:
    """A pause in which nothing happens."""


@dataclass(frozen=True, slots=True)
class EncoderFacts:
    """What a loaded model says of itself.

    `prompts` are texts to put before an input, by name; `adapters` names of what the model's own
    code takes as a task. `matryoshka_dimensions` are the shorter lengths it was trained for.
    """

    dimension: int
    max_tokens: int
    vocabulary_size: int
    prompts: Mapping[str, str] = field(default_factory=dict)
    default_prompt: str = ""
    adapters: tuple[str, ...] = ()
    matryoshka_dimensions: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class EncoderText:
    """A text with its prompt, and the tokens to compute: cut where it was too long."""

    text: str
    ids: Sequence[int]


class Encoder(Protocol):
    """One loaded model. `tokenize` and `spell` are thread-safe; the rest comes from one thread."""

    @property
    def facts(self) -> EncoderFacts: ...

    def tokenize(self, texts: Sequence[str]) -> list[list[int]]:
        """Token ids as the model reads them, special tokens included, however many."""
        ...

    def cut(self, ids: Sequence[int], length: int) -> Sequence[int]:
        """The first of `ids` that fit into `length`, special tokens kept. Pure."""
        ...

    def spell(self, ids: Sequence[int]) -> str:
        """The text that these ids spell; the special tokens around it left out. Pure."""
        ...

    def encode(self, texts: Sequence[EncoderText], adapter: str | None, pause: Pause) -> Vectors:
        """One batch, computed now. May call `pause` between its steps, which may encode another."""
        ...

    def close(self) -> None:
        """Free the model. Idempotent."""
        ...


@dataclass(frozen=True, slots=True)
class SpecialTokens:
    """The special tokens that a tokenizer puts before and behind the tokens of every text. Pure."""

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


class PlainTokenizer(Protocol):
    """The part of `tokenizers.Tokenizer` that is used here. It neither pads nor cuts."""

    def encode_batch_fast(self, input: list[str]) -> Sequence[Any]: ...

    def decode(self, ids: list[int], skip_special_tokens: bool) -> str: ...


class TokenizedTexts:
    """What an `Encoder` does with texts alone, where `tokenizers` has its vocabulary."""

    def __init__(self, tokenizer: PlainTokenizer) -> None:
        self._tokenizer = tokenizer
        self._special = SpecialTokens.of(self.tokenize)

    def tokenize(self, texts: Sequence[str]) -> list[list[int]]:
        return [encoding.ids for encoding in self._tokenizer.encode_batch_fast(list(texts))]

    def cut(self, ids: Sequence[int], length: int) -> Sequence[int]:
        return self._special.cut(ids, length)

    def spell(self, ids: Sequence[int]) -> str:
        inside = list(self._special.inside(ids))
        return self._tokenizer.decode(inside, skip_special_tokens=False)
