"""Whether metadata fulfil a filter, decided here as the engines decide it. Pure."""

import operator
from collections.abc import Callable, Mapping
from typing import Final

from llm_api.core.rag.filters import And, Comparison, Filter, HasValue, Or, parse_date
from llm_api.core.rag.metadata import Keys, keys, path_name, presence_tag, tag
from llm_api.core.rag.types import Metadata, Scalar

_ORDERS: Final[Mapping[str, Callable[[float, float], bool]]] = {
    "gt": operator.gt,
    "gte": operator.ge,
    "lt": operator.lt,
    "lte": operator.le,
}


def matches(wanted: Filter, metadata: Metadata) -> bool:
    """Whether a document with these metadata is found by a search with this filter."""
    return _holds(wanted, keys(metadata))


def _holds(wanted: Filter, found: Keys) -> bool:
    match wanted:
        case And(filters):
            return all(_holds(part, found) for part in filters)
        case Or(filters):
            return any(_holds(part, found) for part in filters)
        case HasValue(field, is_present):
            return (presence_tag(field) in found.tags) == is_present
        case Comparison(field, "eq" | "in", values):
            return _has_one(field, values, found)
        case Comparison(field, "ne" | "nin", values):
            return not _has_one(field, values, found)
        case Comparison(field, order, (value,)) if order in _ORDERS:
            return any(_ORDERS[order](one, _place(value)) for one in _places(field, value, found))
        case _:
            raise ValueError(f"{wanted} is no filter that was parsed")


def _has_one(field: str, values: tuple[Scalar, ...], found: Keys) -> bool:
    return any(tag(field, value) in found.tags for value in values)


def _place(value: Scalar) -> float:
    """Where a value stands among numbers, or dates."""
    moment = parse_date(value) if isinstance(value, str) else float(value)
    if moment is None:
        raise ValueError("only dates and numbers have an order")
    return moment


def _places(field: str, value: Scalar, found: Keys) -> list[float]:
    """Those of the field's values that may be compared with this one."""
    among = found.dates if isinstance(value, str) else found.numbers
    return among.get(path_name(field), [])


def equalities(wanted: Filter) -> dict[str, Scalar]:
    """The fields that have to hold one value, whatever else holds."""
    match wanted:
        case And(filters):
            return {name: value for part in filters for name, value in equalities(part).items()}
        case Comparison(field, "eq", (value,)):
            return {field: value}
        case _:
            return {}
