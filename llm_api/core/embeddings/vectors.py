"""Vectors as numbers: the dimensions, unit length, and arithmetic that is exact enough. Pure."""

from collections.abc import Sequence
from typing import Literal, TypeAlias

import numpy as np

from llm_api.core.embeddings.embedder import Vectors
from llm_api.core.errors import InvalidRequestError, UnsupportedParameterError

Numerics: TypeAlias = Literal["auto", "float32", "bfloat16"]

LEAST_MEAN_COSINE, LEAST_COSINE = 0.999, 0.99
"""How near to float32's vectors those of other numerics have to be."""

_BFLOAT16_FLAGS = frozenset({"avx512_bf16", "amx_bf16", "bf16"})
"""What x86 and ARM call arithmetic on bfloat16."""


def check_dimension(
    wanted: int, native: int, trained: Sequence[int], *, allows_any: bool, name: str
) -> None:
    """Refuse a length that the model was not trained for, unless the user insists.

    `name` is what the length was asked for with. Raises InvalidRequestError where the model's
    vectors are shorter, UnsupportedParameterError where cutting them would make them worse.
    """
    if wanted > native:
        raise InvalidRequestError(
            f"'{name}' is {wanted}, and the model's vectors have {native} dimensions.", param=name
        )
    if wanted == native or wanted in trained or allows_any:
        return
    lengths = f"was trained for {', '.join(map(str, trained))}" if trained else "has one length"
    raise UnsupportedParameterError(
        f"'{name}' is {wanted}: the model {lengths} and {native} alone, and vectors cut otherwise"
        " find worse. The operator can allow it with EMBEDDING_ANY_DIMENSION=true.",
        param=name,
    )


def shorten(vectors: Vectors, dimension: int) -> Vectors:
    """The first `dimension` numbers of each vector, of length 1 again."""
    if dimension == vectors.shape[1]:
        return vectors
    return normalised(vectors[:, :dimension])


def normalised(vectors: Vectors) -> Vectors:
    """Each vector divided by its length; a vector of zeros stays one."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    safe = np.maximum(lengths, np.finfo(np.float32).tiny)
    return np.asarray(vectors / safe, dtype=np.float32)


def computes_in_bfloat16(cpu_flags: frozenset[str] | None) -> bool:
    """Whether the CPU has instructions for it; without them it is slower than float32."""
    return bool(_BFLOAT16_FLAGS & (cpu_flags or frozenset()))


def cosines(exact: Vectors, vectors: Vectors) -> tuple[float, float]:
    """Mean and worst cosine of vectors that should be the same."""
    products = (normalised(exact) * normalised(vectors)).sum(axis=1)
    return float(products.mean()), float(products.min())


def is_exact_enough(mean: float, worst: float) -> bool:
    return mean >= LEAST_MEAN_COSINE and worst >= LEAST_COSINE
