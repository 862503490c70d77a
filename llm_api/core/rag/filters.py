"""The filter language: conditions on the metadata of documents, as values and out of JSON. Pure.

In JSON an object lists conditions that all have to hold:

    {"source": "docker-docs"}                      equals
    {"year": {"gte": 2020, "lt": 2024}}            eq ne gt gte lt lte in nin
    {"or": [{"lang": "en"}, {"and": [...]}]}       and, or
    {"reviewer": null}, {"reviewer": {"ne": null}} has no value, has one

An operator may be written with a dollar sign (`$gte`), as other stores have it.

Where a field holds a list, a comparison is about any of its elements. `ne` and `nin` are exactly
what `eq` and `in` are not: they also match a document that lacks the field. Every other operator
does not. Numbers equal by value (1 is 1.0), and true is not 1. Order compares numbers with numbers
and ISO 8601 dates with dates, and nothing else.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal, TypeAlias, cast, get_args

from llm_api.core.errors import InvalidRequestError
from llm_api.core.rag.types import Scalar

MAX_DEPTH = 8
MAX_COMPARISONS = 64
MAX_VALUES = 256
MAX_TEXT = 1_000
MAX_INTEGER = 2**63 - 1

Order: TypeAlias = Literal["gt", "gte", "lt", "lte"]
Operator: TypeAlias = Literal["eq", "ne", "in", "nin"] | Order

_ORDERS = frozenset(get_args(Order))
_LISTS = frozenset({"in", "nin"})
_OPERATORS = frozenset({"eq", "ne"}) | _ORDERS | _LISTS


@dataclass(frozen=True, slots=True)
class Comparison:
    """`values` are several for `in` and `nin`, else one."""

    field: str
    operator: Operator
    values: tuple[Scalar, ...]


@dataclass(frozen=True, slots=True)
class HasValue:
    """The field has a value, or has none: it is absent, null, or an empty list."""

    field: str
    is_present: bool


@dataclass(frozen=True, slots=True)
class And:
    """Holds if all do: always, if there are none."""

    filters: "tuple[Filter, ...]"


@dataclass(frozen=True, slots=True)
class Or:
    filters: "tuple[Filter, ...]"


Filter: TypeAlias = Comparison | HasValue | And | Or

EVERYTHING = And(())


def parse_filter(value: object, path: str = "filter") -> Filter:
    """A filter out of parsed JSON, which is not trusted.

    Raises InvalidRequestError whose `param` is the path of what is wrong.
    """
    found = _parse(value, path, 1)
    if sum(1 for _ in leaves(found)) > MAX_COMPARISONS:
        raise _refusal(f"A filter has at most {MAX_COMPARISONS} comparisons.", path)
    return found


def _parse(value: object, path: str, depth: int) -> Filter:
    if not isinstance(value, dict):
        raise _refusal("A filter is an object such as {'year': {'gte': 2020}}.", path)
    if depth > MAX_DEPTH:
        raise _refusal(f"A filter is nested at most {MAX_DEPTH} deep.", path)
    if len(value) > MAX_COMPARISONS:
        raise _refusal(f"A filter has at most {MAX_COMPARISONS} comparisons.", path)
    parts = tuple(_entry(key, item, path, depth) for key, item in value.items())
    return parts[0] if len(parts) == 1 else And(parts)


def _entry(key: object, value: object, path: str, depth: int) -> Filter:
    name = _text(key, path)
    if (word := name.removeprefix("$")) in {"and", "or"}:
        if not isinstance(value, list) or not 1 <= len(value) <= MAX_COMPARISONS:
            limit = f"1 to {MAX_COMPARISONS} filters"
            raise _refusal(f"{name!r} takes a list of {limit}.", f"{path}.{name}")
        parts = tuple(
            _parse(item, f"{path}.{name}[{index}]", depth + 1) for index, item in enumerate(value)
        )
        return And(parts) if word == "and" else Or(parts)
    if value is None:
        return HasValue(name, is_present=False)
    if not isinstance(value, dict):
        return Comparison(name, "eq", (_scalar(value, f"{path}.{name}"),))
    if not 1 <= len(value) <= len(_OPERATORS):
        raise _refusal(f"A field takes one or more of {_known()}.", f"{path}.{name}")
    comparisons = tuple(
        _comparison(name, operator, operand, f"{path}.{name}")
        for operator, operand in value.items()
    )
    return comparisons[0] if len(comparisons) == 1 else And(comparisons)


def _comparison(field: str, key: object, operand: object, path: str) -> Comparison | HasValue:
    operator = _text(key, path).removeprefix("$")
    if operator not in _OPERATORS:
        raise _refusal(f"There is no operator {operator!r}; there are {_known()}.", path)
    path = f"{path}.{operator}"
    if operand is None and operator in ("eq", "ne"):
        return HasValue(field, is_present=operator == "ne")
    if operator in _LISTS:
        if not isinstance(operand, list) or not 1 <= len(operand) <= MAX_VALUES:
            raise _refusal(f"{operator!r} takes a list of 1 to {MAX_VALUES} values.", path)
        values = tuple(_scalar(item, f"{path}[{index}]") for index, item in enumerate(operand))
    else:
        values = (_scalar(operand, path),)
        if operator in _ORDERS and not _has_order(values[0]):
            raise _refusal(f"{operator!r} compares numbers or ISO 8601 dates.", path)
    return Comparison(field, cast("Operator", operator), values)


def _has_order(value: Scalar) -> bool:
    if isinstance(value, str):
        return parse_date(value) is not None
    return not isinstance(value, bool)


def parse_date(text: str) -> float | None:
    """Unix seconds of an ISO 8601 date or date and time, or None. Without a zone it is UTC."""
    try:
        moment = datetime.fromisoformat(text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except ValueError:
        return None


def _scalar(value: object, path: str) -> Scalar:
    match value:
        case bool():
            return value
        case str():
            return _text(value, path)
        case int() if abs(value) <= MAX_INTEGER:
            return value
        case float() if math.isfinite(value):
            return value
        case int() | float():
            raise _refusal("A number is finite, and an integer has at most 64 bits.", path)
        case _:
            raise _refusal(
                "A field is compared with a string, a number or a boolean; `eq` and `ne` also with"
                " null.",
                path,
            )


def _text(value: object, path: str) -> str:
    if not isinstance(value, str) or not 0 <= len(value) <= MAX_TEXT:
        raise _refusal(f"Names and values have at most {MAX_TEXT} characters.", path)
    if any("\ud800" <= character <= "\udfff" for character in value):
        raise _refusal("This is no valid Unicode text.", path)
    return value


def leaves(found: Filter) -> Iterator[Comparison | HasValue]:
    """Every condition on one field. Pure."""
    if isinstance(found, Comparison | HasValue):
        yield found
        return
    for part in found.filters:
        yield from leaves(part)


def _known() -> str:
    return ", ".join(sorted(_OPERATORS))


def _refusal(message: str, path: str) -> InvalidRequestError:
    return InvalidRequestError(message, param=path)
