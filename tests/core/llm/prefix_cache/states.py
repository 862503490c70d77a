"""Prefixes with states that are easy to tell apart."""

import numpy as np

from llm_api.core.llm.prefix_cache.model_prefixes import ModelPrefixes
from llm_api.core.llm.prefix_cache.stored import StoredPrefix, as_tokens
from llm_api.core.llm.types import Retention


def tokens_of(length: int, seed: int = 0) -> list[int]:
    return [(seed * 7919 + position * 13) % 5000 for position in range(length)]


def stored_of(
    tokens: list[int],
    size: int = 1000,
    scope: str = "",
    *,
    fingerprint: str = "model",
    last_used: float = 0.0,
) -> StoredPrefix:
    """A prefix in RAM. Its state begins with its first token."""
    state = np.arange(tokens[0], tokens[0] + size, dtype=np.int64).astype(np.uint8)
    return StoredPrefix(
        fingerprint, scope, as_tokens(tokens), size, last_used=last_used, state=state
    )


def keep(
    prefixes: ModelPrefixes,
    tokens: list[int],
    size: int = 1000,
    scope: str = "",
    retention: Retention | None = None,
) -> bool:
    """Keep a state as a runner would. Whether there was anything to keep, and room for it."""
    place = prefixes.place(tokens, scope, retention)
    if place is None or (state := place.allot(size)) is None:
        return False
    state[:] = tokens[0] % 256
    place.keep(state, 1e-3)
    return True
