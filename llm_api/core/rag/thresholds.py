"""The cosine below which a chunk says nothing about a question, by embedding model. Measured.

`python -m scripts.rag.score_threshold` measures it. all-MiniLM-L6-v2 on Cranfield, with texts of
STS-B as questions that it does not cover: at 0.25 none of the 225 questions loses its best
document, and 88 % of the others find nothing (0.20: 45 %; 0.30: 96 %, and one of the 225 is lost).
With both collections in each other's place: 0.3 % lost, 86 % refused.
"""

from collections.abc import Mapping
from typing import Final

MEASURED: Final[Mapping[str, float]] = {"all-MiniLM-L6-v2": 0.25}


def default_threshold(model: str) -> float | None:
    """None for a model that was not measured: its hits are not sorted out."""
    return MEASURED.get(model)
