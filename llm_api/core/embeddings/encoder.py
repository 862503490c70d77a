"""What a model in this process has to do: tokens out of texts, vectors out of tokens. Blocks."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias

from llm_api.core.embeddings.embedder import Vectors

Pause: TypeAlias = Callable[[], None]


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
