"""Points, questions and conditions as a server takes and gives them. Pure."""

from typing import Any

from qdrant_client import models

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


def to_point(point: Point) -> models.PointStruct:
    vectors: dict[str, Any] = {}
    if point.dense is not None:
        vectors[DENSE] = point.dense.tolist()
    if point.sparse is not None:
        vectors[SPARSE] = _sparse(point.sparse)
    return models.PointStruct(id=point.id, vector=vectors, payload=dict(point.payload))


def stored(record: models.Record) -> StoredPoint:
    return stored_point(record.payload, record.vector)


def query(asked: Vector | SparseVector) -> list[float] | models.SparseVector:
    """What to search with."""
    return _sparse(asked) if isinstance(asked, SparseVector) else asked.tolist()


def _sparse(vector: SparseVector) -> models.SparseVector:
    return models.SparseVector(indices=list(vector.indices), values=list(vector.values))


def filter_of(condition: Condition) -> models.Filter:
    match condition:
        case Match(key, values):
            match = models.MatchAny(any=list(values))
            return models.Filter(must=[models.FieldCondition(key=key, match=match)])
        case Range(key, gt, gte, lt, lte):
            bounds = models.Range(gt=gt, gte=gte, lt=lt, lte=lte)
            return models.Filter(must=[models.FieldCondition(key=key, range=bounds)])
        case HasId(ids):
            return models.Filter(must=[models.HasIdCondition(has_id=list(ids))])
        case AllOf(conditions):
            return models.Filter(must=[filter_of(part) for part in conditions])
        case AnyOf(conditions):
            return models.Filter(should=[filter_of(part) for part in conditions])
        case Not(part):
            return models.Filter(must_not=[filter_of(part)])
