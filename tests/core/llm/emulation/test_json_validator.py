"""What is valid for a schema, what is refused, and that no schema takes endless time."""

import time
from typing import Any

import pytest

from llm_api.core.errors import InvalidRequestError
from llm_api.core.llm.emulation import json_validator
from llm_api.core.llm.emulation.json_validator import JSONValidator

LIST: dict[str, Any] = {
    "$defs": {
        "node": {
            "type": "object",
            "properties": {"next": {"anyOf": [{"type": "null"}, {"$ref": "#/$defs/node"}]}},
            "required": ["next"],
        }
    },
    "$ref": "#/$defs/node",
}


@pytest.mark.parametrize(
    ("schema", "valid", "invalid"),
    [
        ({"type": "string", "pattern": "^a+$"}, "aa", "ab"),
        ({"patternProperties": {"^n": {"type": "integer"}}}, {"n": 1, "x": "y"}, {"n": "1"}),
        (
            {"patternProperties": {"^n": {}}, "additionalProperties": False},
            {"n": 1},
            {"n": 1, "x": 2},
        ),
        (
            {"properties": {"a": {}}, "additionalProperties": {"type": "null"}},
            {"a": 1, "b": None},
            {"a": 1, "b": 1},
        ),
        ({"format": "date"}, "2024-02-29", "2023-02-29"),
        ({"format": "made-up"}, "x", None),
        (LIST, {"next": {"next": None}}, {"next": {"next": 5}}),
        ({"prefixItems": [{"const": 1}], "items": False}, [1], [1, 2]),
    ],
)
def test_values_are_judged(schema: dict[str, Any], valid: Any, invalid: Any) -> None:
    validator = JSONValidator(schema, "response_format")
    assert validator.problem(valid) == ""
    assert invalid is None or validator.problem(invalid)


def test_a_problem_says_where_it_is_and_stays_short() -> None:
    validator = JSONValidator({"items": {"type": "integer"}}, "response_format")
    assert validator.problem([1, "x"]) == "$[1]: 'x' is not of type 'integer'"
    assert len(validator.problem(["x" * 10_000])) < 350


@pytest.mark.parametrize(
    ("schema", "place"),
    [
        ({"properties": {"a": {"type": 5}}}, "/properties/a/type"),
        ({"properties": {"a": {"pattern": "(?=x)"}}}, "'/properties/a'"),
        ({"items": {"patternProperties": {"(?=x)": {}}}}, "'/items'"),
        ({"items": {"unevaluatedProperties": False}}, "'/items'"),
        ({"$ref": "http://localhost/schema"}, "leads nowhere"),
        ({"allOf": [{"$ref": "#"}]}, "no finite value"),
    ],
)
def test_what_cannot_be_checked_is_refused_with_its_place(
    schema: dict[str, Any], place: str
) -> None:
    with pytest.raises(InvalidRequestError, match=place) as refusal:
        JSONValidator(schema, "response_format")
    assert refusal.value.param == "response_format"


@pytest.mark.parametrize(
    "hidden",
    [{"unevaluatedProperties": False}, {"properties": {"a": {"pattern": "(?=x)"}}}],
)
def test_what_a_reference_leads_to_is_refused_when_it_is_reached(hidden: dict[str, Any]) -> None:
    validator = JSONValidator({"$ref": "#/elsewhere", "elsewhere": hidden}, "response_format")
    with pytest.raises(InvalidRequestError):
        validator.problem({"a": "x"})


def test_no_schema_is_fetched() -> None:
    schema: dict[str, Any] = {"dependentSchemas": {"a": {"$ref": "http://localhost:9/schema"}}}
    with pytest.raises(InvalidRequestError, match="leads nowhere"):
        JSONValidator(schema, "response_format").problem({"a": 1})


def test_a_pattern_takes_linear_time() -> None:
    validator = JSONValidator({"pattern": "^(a+)+$"}, "response_format")
    started = time.perf_counter()
    assert validator.problem("a" * 10_000 + "b")
    assert time.perf_counter() - started < 1


def test_a_schema_that_doubles_at_every_reference_is_given_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(json_validator, "CHECK_SECONDS", 0.05)
    doubling: dict[str, Any] = {
        f"a{number}": {"allOf": [{"$ref": f"#/$defs/a{number + 1}"}] * 2} for number in range(40)
    }
    schema: dict[str, Any] = {
        "$defs": {**doubling, "a40": {"type": "integer"}},
        "$ref": "#/$defs/a0",
    }
    with pytest.raises(InvalidRequestError, match="too long to check"):
        JSONValidator(schema, "response_format").problem(1)


def test_a_value_too_deep_to_walk_is_not_valid() -> None:
    value: Any = None
    for _ in range(5000):
        value = {"next": value}
    assert "too deeply" in JSONValidator(LIST, "response_format").problem(value)
