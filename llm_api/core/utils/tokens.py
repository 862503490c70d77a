"""Tokens where nothing counts them exactly: of a text in a foreign vocabulary, of cut requests."""

import math
from dataclasses import dataclass
from typing import Final

BYTES_PER_TOKEN: Final = 3.0
"""English has about 4 bytes a token, other languages and code 2 to 3.5."""


def estimate_tokens(text: str) -> int:
    """About how many tokens a text has, where the vocabulary is not known here. Pure."""
    return math.ceil(len(text.encode("utf-8", "replace")) / BYTES_PER_TOKEN)


@dataclass(slots=True)
class TokenMeter:
    """What was computed for a request that is cut before an answer could tell it.

    Tokens that a model has read or written, or is at. The model's side adds, the side that counts
    reads.
    """

    tokens: int = 0
