"""Points, questions and conditions as the embedded engine takes and gives them. Pure."""

import qdrant_edge as qdrant

from llm_api.core.rag.bm25 import SparseVector
from llm_api.core.rag.stores.points import (
    DENSE,
    SPARSE,
    AllOf,
    AnyOf,
    Condition,
    HasId,
    Match,
    Not,
    Point,
    Range,
    StoredPoint,
    stored_point,
)
from llm_api.core.rag.vector_store import Vector


def to_point(point: Point) -> qdrant.Point:
    vectors: dict[str, list[float] | qdrant.SparseVector | list[list[float]]] = {}
    if point.dense is not None:
        vectors[DENSE] = point.dense.tolist()
    if point.sparse is not None:
        vectors[SPARSE] = _sparse(point.sparse)
    return qdrant.Point(point.id, vectors, dict(point.payload))


def stored(record: qdrant.Record) -> StoredPoint:
    return stored_point(record.payload, record.vector)


def _sparse(vector: SparseVector) -> qdrant.SparseVector:
    return qdrant.SparseVector(list(vector.indices), list(vector.values))


def query(asked: Vector | SparseVector) -> qdrant.Query:
    """What to search with."""
    if isinstance(asked, SparseVector):
        return qdrant.Query.Nearest(_sparse(asked), using=SPARSE)
    return qdrant.Query.Nearest(asked.tolist(), using=DENSE)


def filter_of(condition: Condition) -> qdrant.Filter:
    match condition:
        case Match(key, values):
            match = qdrant.MatchAny(list(values))
            return qdrant.Filter(must=[qdrant.FieldCondition(key, match=match)])
        case Range(key, gt, gte, lt, lte):
            bounds = qdrant.RangeFloat(gt=gt, gte=gte, lt=lt, lte=lte)
            return qdrant.Filter(must=[qdrant.FieldCondition(key, range=bounds)])
        case HasId(ids):
            return qdrant.Filter(must=[qdrant.HasIdCondition(set(ids))])
        case AllOf(conditions):
            return qdrant.Filter(must=[filter_of(part) for part in conditions])
        case AnyOf(conditions):
            return qdrant.Filter(should=[filter_of(part) for part in conditions])
        case Not(part):
            return qdrant.Filter(must_not=[filter_of(part)])
