"""What the text layers ask of a model's vocabulary."""

from collections.abc import Mapping
from typing import Protocol


class Tokenizer(Protocol):
    """A vocabulary and the control tokens its chat template is made of. Thread-safe."""

    @property
    def vocabulary_size(self) -> int: ...

    @property
    def longest_token(self) -> int:
        """An upper bound on the bytes that one token stands for."""
        ...

    @property
    def adds_bos(self) -> bool:
        """Whether `tokenize(add_special=True)` puts a BOS token before the text."""
        ...

    @property
    def bos_text(self) -> str: ...

    @property
    def eos_text(self) -> str: ...

    @property
    def control_tokens(self) -> Mapping[str, int]:
        """The control tokens by their texts, which are parsed only where special tokens are."""
        ...

    def tokenize(self, text: str, *, add_special: bool, parse_special: bool) -> list[int]:
        """Token ids of `text`.

        `add_special` lets the model add BOS or EOS as it is made to; `parse_special` turns the
        texts of control tokens into these tokens.
        """
        ...

    def piece(self, token: int) -> bytes:
        """The bytes a token stands for; none for a control token. Need not be whole UTF-8."""
        ...
