"""What `DocumentStore` asks of an engine that keeps points: Qdrant in this machine, or a server.

A point has an id, a payload, and (if it is a chunk) a dense and a sparse vector. Knows nothing of
documents.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

import numpy as np

from llm_api.core.rag.bm25 import SparseVector
from llm_api.core.rag.vector_store import NEWEST_RULE, EmbeddingModel, Vector

Payload: TypeAlias = Mapping[str, object]

DENSE = "dense"
SPARSE = "bm25"

SEARCH_EF = 128
"""Candidates that a walk through the index keeps at least."""

MAX_NUMBER_INDEXES = 32
"""Fields of a collection over which ranges are indexed; filters choose them."""


@dataclass(frozen=True, slots=True, eq=False)
class Point:
    """`id` is the text of a UUID. Both vectors are there, or none."""

    id: str
    payload: Payload
    dense: Vector | None = None
    sparse: SparseVector | None = None


@dataclass(frozen=True, slots=True, eq=False)
class StoredPoint:
    payload: Payload
    dense: Vector | None = None


def stored_point(payload: Payload | None, vectors: object) -> StoredPoint:
    """A point out of what either engine gives: its vectors by name, if any were asked for."""
    dense = vectors.get(DENSE) if isinstance(vectors, dict) else None
    return StoredPoint(
        payload or {}, None if dense is None else np.fromiter(dense, np.float32, len(dense))
    )


@dataclass(frozen=True, slots=True)
class Match:
    """The field is, or holds, one of these values."""

    key: str
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Range:
    """The number in the field, or one of them, lies within."""

    key: str
    gt: float | None = None
    gte: float | None = None
    lt: float | None = None
    lte: float | None = None


@dataclass(frozen=True, slots=True)
class HasId:
    ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class AllOf:
    """Always holds if there are no conditions."""

    conditions: "tuple[Condition, ...]"


@dataclass(frozen=True, slots=True)
class AnyOf:
    conditions: "tuple[Condition, ...]"


@dataclass(frozen=True, slots=True)
class Not:
    condition: "Condition"


Condition: TypeAlias = Match | Range | HasId | AllOf | AnyOf | Not


def ranges(condition: Condition) -> Iterable[Range]:
    """Every range within a condition."""
    match condition:
        case Range():
            yield condition
        case AllOf(conditions) | AnyOf(conditions):
            for part in conditions:
                yield from ranges(part)
        case Not(part):
            yield from ranges(part)
        case Match() | HasId():
            pass


@dataclass(frozen=True, slots=True)
class Recipe:
    """By what the vectors of a collection are made: whose they are, and the rule of its words."""

    embedding: EmbeddingModel
    words: int = NEWEST_RULE


class Points(Protocol):
    """The points of one collection. A write has been applied when its call returns."""

    async def upsert(self, points: Sequence[Point]) -> None:
        """Put points, over those of the same id."""

    async def delete(self, ids: Sequence[str]) -> None:
        """Remove those that are there."""

    async def set_payload(self, ids: Sequence[str], payload: Payload) -> None:
        """Put these keys into the payload of each point, over what they held."""

    async def flush(self) -> None:
        """Return when all that was written is on disk."""

    async def retrieve(
        self, ids: Sequence[str], *, with_vectors: bool = False
    ) -> dict[str, StoredPoint]:
        """Points by id, those that are there."""

    async def vectors(self, ids: Sequence[str]) -> dict[str, Vector]:
        """Dense vectors by id, of those that are there."""

    async def scroll(
        self, where: Condition, limit: int, start: str | None = None
    ) -> tuple[dict[str, StoredPoint], str | None]:
        """Points from `start` on in the order of their ids, and where the next page starts."""

    async def count(self, where: Condition) -> int: ...

    async def nearest(
        self, query: Vector | SparseVector, limit: int, where: Condition
    ) -> dict[str, float]:
        """Scores by id, highest first."""

    async def index_numbers(self, keys: Iterable[str]) -> None:
        """Have ranges over these keys found by an index, for as many keys as is reasonable."""


class StoreEngine(Protocol):
    """Collections of points. Each method but `names` raises CollectionNotFoundError."""

    async def names(self) -> tuple[str, ...]: ...

    async def recipe(self, name: str) -> Recipe: ...

    async def damage(self, name: str) -> str | None:
        """Why nothing can be done with the points of this collection; None where it can."""

    async def create(self, name: str, recipe: Recipe) -> None:
        """Make a collection that is not there yet."""

    async def drop(self, name: str) -> None: ...

    async def rename(self, name: str, new_name: str) -> None:
        """In one step; what had the new name is dropped."""

    def points(self, name: str) -> Points:
        """Raises CollectionDamagedError."""
