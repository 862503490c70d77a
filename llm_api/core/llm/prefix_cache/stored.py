"""A prefix that is kept outside the KV buffer: its tokens, whose they are, the bytes of its state.

Knows no llama.cpp, no files. Tokens are found by chained hashes of their blocks: the hash of a
block covers all blocks before it, the model and the scope, so that it stands for the whole prefix.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from llm_api.core.llm.types import Retention

BLOCK_TOKENS: Final = 64
"""Tokens that are hashed together. A prefix shorter than one block is not kept."""

PINNED_SCOPE: Final = "\1pinned"
"""The scope of prefixes that the operator names: every key may begin with them."""

State: TypeAlias = NDArray[np.uint8]
Tokens: TypeAlias = NDArray[np.int32]


@dataclass(slots=True, eq=False)
class StoredPrefix:
    """`size` are the bytes of its state, which is in RAM (`state`), on disk (`path`), or both.

    `last_used` is in Unix seconds. While it `is_moving`, a thread reads or writes its file; it
    `is_fetched` from when it was read there until it is restored.
    """

    fingerprint: str
    scope: str
    tokens: Tokens
    size: int
    retention: Retention | None = None
    last_used: float = 0.0
    state: State | None = field(default=None, repr=False)
    path: Path | None = None
    is_moving: bool = False
    is_fetched: bool = False

    @property
    def owner(self) -> str:
        """Whose share it takes: the scope of a key, whatever adapters it asked for."""
        return owner_of(self.scope)

    @property
    def is_pinned(self) -> bool:
        return self.owner == PINNED_SCOPE

    @property
    def may_be_written(self) -> bool:
        return self.retention != "in_memory"


def owner_of(scope: str) -> str:
    """A scope without the adapters. Pure."""
    return scope.partition("\0")[0]


def key_of(owner: str) -> str:
    """The name of the key: behind it stands which documents it reaches. Pure."""
    return owner.partition("#")[0]


def as_tokens(tokens: Sequence[int]) -> Tokens:
    return np.array(tokens, dtype=np.int32)


def block_hashes(fingerprint: str, scope: str, tokens: Tokens) -> Iterator[bytes]:
    """The hash of each whole block with all before it. Pure, and computed as it is asked for."""
    last = hashlib.blake2b(f"{fingerprint}\0{scope}".encode(), digest_size=16).digest()
    for start in range(0, len(tokens) - BLOCK_TOKENS + 1, BLOCK_TOKENS):
        block = tokens[start : start + BLOCK_TOKENS].tobytes()
        last = hashlib.blake2b(last + block, digest_size=16).digest()
        yield last


def common_length(left: Tokens, right: Tokens) -> int:
    """Number of equal leading tokens. Pure."""
    length = min(len(left), len(right))
    differs = left[:length] != right[:length]
    return int(differs.argmax()) if differs.any() else length
