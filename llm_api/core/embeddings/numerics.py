"""In which numbers a model computes: what is fast on a CPU, and what is exact enough. Pure."""

from typing import Literal, TypeAlias

from llm_api.core.embeddings.dimensions import normalised
from llm_api.core.embeddings.embedder import Vectors

Numerics: TypeAlias = Literal["auto", "float32", "bfloat16"]

LEAST_MEAN_COSINE, LEAST_COSINE = 0.999, 0.99
"""How near to float32's vectors those of other numerics have to be."""

_BFLOAT16_FLAGS = frozenset({"avx512_bf16", "amx_bf16", "bf16"})
"""What x86 and ARM call arithmetic on bfloat16."""


def computes_in_bfloat16(cpu_flags: frozenset[str] | None) -> bool:
    """Whether the CPU has instructions for it; without them it is slower than float32."""
    return bool(_BFLOAT16_FLAGS & (cpu_flags or frozenset()))


def cosines(exact: Vectors, vectors: Vectors) -> tuple[float, float]:
    """Mean and worst cosine of vectors that should be the same."""
    products = (normalised(exact) * normalised(vectors)).sum(axis=1)
    return float(products.mean()), float(products.min())


def is_exact_enough(mean: float, worst: float) -> bool:
    return mean >= LEAST_MEAN_COSINE and worst >= LEAST_COSINE
