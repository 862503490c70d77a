import pytest

from llm_api.core.errors import InvalidRequestError
from llm_api.core.rag.filters import (
    EVERYTHING,
    MAX_COMPARISONS,
    MAX_DEPTH,
    MAX_TEXT,
    MAX_VALUES,
    And,
    Comparison,
    HasValue,
    Or,
    parse_date,
    parse_filter,
)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({}, EVERYTHING),
        ({"a": 1}, Comparison("a", "eq", (1,))),
        ({"a": None}, HasValue("a", is_present=False)),
        ({"a": {"$eq": None}}, HasValue("a", is_present=False)),
        ({"a": {"ne": None}}, HasValue("a", is_present=True)),
        ({"a": {"in": ["x", 2, True]}}, Comparison("a", "in", ("x", 2, True))),
        ({"a": {"$nin": ["x"]}}, Comparison("a", "nin", ("x",))),
        (
            {"a": {"gt": 1, "lte": "2024-01-01"}},
            And((Comparison("a", "gt", (1,)), Comparison("a", "lte", ("2024-01-01",)))),
        ),
        (
            {"a": "x", "b": False},
            And((Comparison("a", "eq", ("x",)), Comparison("b", "eq", (False,)))),
        ),
        (
            {"or": [{"a": 1}, {"$and": [{"b": 2}, {}]}]},
            Or((Comparison("a", "eq", (1,)), And((Comparison("b", "eq", (2,)), EVERYTHING)))),
        ),
    ],
)
def test_filter_is_read(value: object, expected: object) -> None:
    assert parse_filter(value) == expected


def nested(depth: int) -> dict[str, object]:
    value: dict[str, object] = {"a": 1}
    for _ in range(depth - 1):
        value = {"and": [value]}
    return value


def test_filter_at_every_limit_is_read() -> None:
    parse_filter(nested(MAX_DEPTH))
    parse_filter({"or": [{"a": 1}] * MAX_COMPARISONS})
    parse_filter({"a": {"in": ["x" * MAX_TEXT] * MAX_VALUES}})
    parse_filter({"a": 2**63 - 1, "b": -(2**63) + 1, "c": 1e308})


@pytest.mark.parametrize(
    ("value", "path"),
    [
        (None, "filter"),
        ([], "filter"),
        ("a", "filter"),
        (nested(MAX_DEPTH + 1), "filter" + ".and[0]" * MAX_DEPTH),
        (nested(900), "filter" + ".and[0]" * MAX_DEPTH),
        ({"or": [{"a": 1}] * (MAX_COMPARISONS + 1)}, "filter.or"),
        ({"or": [{"a": 1, "b": 2}] * MAX_COMPARISONS}, "filter"),
        ({str(n): 1 for n in range(MAX_COMPARISONS + 1)}, "filter"),
        ({"and": []}, "filter.and"),
        ({"$or": {"a": 1}}, "filter.$or"),
        ({"or": [{"a": 1}, 5]}, "filter.or[1]"),
        ({"a": {"in": ["x", None]}}, "filter.a.in[1]"),
        ({"a": {"gt": None}}, "filter.a.gt"),
        ({"a": {}}, "filter.a"),
        ({"a": [1]}, "filter.a"),
        ({"a": {"like": "x"}}, "filter.a"),
        ({"a": {"eq": {"eq": 1}}}, "filter.a.eq"),
        ({"a": {"in": "x"}}, "filter.a.in"),
        ({"a": {"in": []}}, "filter.a.in"),
        ({"a": {"in": [1] * (MAX_VALUES + 1)}}, "filter.a.in"),
        ({"a": {"nin": ["x", ["y"]]}}, "filter.a.nin[1]"),
        ({"a": {"gt": True}}, "filter.a.gt"),
        ({"a": {"gte": "yesterday"}}, "filter.a.gte"),
        ({"a": float("nan")}, "filter.a"),
        ({"a": {"lt": float("inf")}}, "filter.a.lt"),
        ({"a": 2**63}, "filter.a"),
        ({"a": "x" * (MAX_TEXT + 1)}, "filter.a"),
        ({"a": "\ud800"}, "filter.a"),
        ({"x" * (MAX_TEXT + 1): 1}, "filter"),
        ({"\udfff": 1}, "filter"),
    ],
)
def test_hostile_filter_is_refused_with_its_path(value: object, path: str) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        parse_filter(value)
    assert caught.value.param == path
    assert len(caught.value.message) < 2 * MAX_TEXT


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1970-01-02", 86400),
        ("1970-01-01T00:00:01", 1),
        ("1970-01-01T01:00:00+01:00", 0),
        ("1970-01-01T00:00:00.5Z", 0.5),
        ("0001-01-01", -62135596800),
        ("", None),
        ("1970", None),
        ("1970-13-01", None),
        ("yesterday", None),
    ],
)
def test_iso_dates_are_understood_and_nothing_else(text: str, seconds: float | None) -> None:
    assert parse_date(text) == seconds
