"""Two rankings made one: by meaning and by words. Pure.

The same for the store that searches, and for evals, which rank again what they have found once.

1. Scores are scaled to what lies between the worst and the best of this question's candidates, and
   added by their shares. BM25 has no scale of its own, and cosines of one model lie close together.
2. Of the best, each takes over a part of what those score that are most like it. What is about the
   same thing answers the same questions (van Rijsbergen's cluster hypothesis), so a chunk whose
   neighbours all stand high belongs there too, and one that stands high alone is likely there by
   chance: by a word of another meaning, or a sentence that only sounds alike. Score regularisation,
   Diaz 2007; the neighbours are those among the candidates.

docs/figures.md has what each step brings on several collections.
"""

from typing import Final

import numpy as np
import numpy.typing as npt

from llm_api.core.rag.vector_store import Vector

FLOOR: Final = 0.05
"""What the last candidate keeps of the range: it is a hit, and no score of 0."""

SMOOTHED: Final = 50
"""Of the best candidates: their vectors are read, which takes time."""
MAX_NEIGHBOURS: Final = 12
_PART_OF_EACH: Final = 1 / 12
_PART_OF_ALL: Final = 0.5
"""What a neighbour, and all of them together, weigh at most: beyond that the scores wash out."""
_ROUNDS: Final = 2
"""In the second, neighbours of neighbours count as well."""


def fuse(dense: Vector, sparse: Vector, shares: tuple[float, float]) -> Vector:
    """One score from 0 to 1 for each chunk, of which both rankings' scores are given."""
    share_of_dense, share_of_sparse = shares
    fused = share_of_dense * _scaled(dense) + share_of_sparse * _scaled(sparse)
    return np.asarray((fused + FLOOR) / (1 + FLOOR), np.float32)


def _scaled(scores: Vector) -> Vector:
    low, high = scores.min(initial=np.inf), scores.max(initial=-np.inf)
    return (scores - low) / (high - low) if high > low else np.full_like(scores, high > 0)


def smooth(scores: Vector, vectors: npt.NDArray[np.float32], neighbours: int) -> Vector:
    """The scores, each with its part of those of the `neighbours` most like it.

    Never below the lowest score nor above the highest. `vectors` has a row of length 1 for each, or
    of zeros: that one keeps its score.
    """
    count = min(neighbours, len(scores) - 1)
    if count < 1:
        return scores
    alike = np.einsum("id,jd->ij", vectors, vectors)  # BLAS would start threads for so little
    np.fill_diagonal(alike, -1.0)
    nearest = np.argpartition(-alike, count - 1, axis=1)[:, :count]
    weights = np.take_along_axis(alike, nearest, axis=1).clip(min=0.0)
    totals = weights.sum(axis=1)
    part = np.where(totals > 0, min(count * _PART_OF_EACH, _PART_OF_ALL), 0.0)
    weights /= np.where(totals > 0, totals, 1.0)[:, None]
    smoothed = scores
    for _ in range(_ROUNDS):
        around = (weights * smoothed[nearest]).sum(axis=1)
        smoothed = np.asarray((1 - part) * scores + part * around, np.float32)
    return smoothed
