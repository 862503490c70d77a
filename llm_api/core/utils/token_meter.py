"""What was computed for a request that is cut before anything could tell it."""

from dataclasses import dataclass


@dataclass(slots=True)
class TokenMeter:
    """Tokens that a model has read or written, or is at. Who computes adds, who counts reads."""

    tokens: int = 0
