"""Hits that do not repeat each other. Pure.

Maximal marginal relevance: Carbonell and Goldstein 1998.
"""

from collections.abc import Sequence

import numpy as np

from llm_api.core.rag.vector_store import Vector


def choose_diverse(
    relevance: Sequence[float], vectors: Sequence[Vector], diversity: float, count: int
) -> list[int]:
    """Positions of at most `count` items, best first.

    Each is the one with the most of `(1 - diversity) * relevance - diversity * similarity`, where
    the similarity is its cosine with the most similar one chosen before. `diversity` 0 is the order
    of relevance, 1 looks at nothing but similarity. Relevance is scaled to 0..1 first, so it may
    be any score. `vectors` have length 1, or 0.
    """
    if not relevance:
        return []
    worth = (1 - diversity) * _scaled(np.asarray(relevance, dtype=np.float32))
    cosines = np.stack(vectors) @ np.stack(vectors).T
    chosen = [int(np.argmax(relevance))]
    while len(chosen) < min(count, len(relevance)):
        gain = worth - diversity * cosines[:, chosen].max(axis=1)
        gain[chosen] = -np.inf
        chosen.append(int(np.argmax(gain)))
    return chosen


def _scaled(scores: Vector) -> Vector:
    low, high = scores.min(), scores.max()
    return (scores - low) / (high - low) if high > low else np.ones_like(scores)
