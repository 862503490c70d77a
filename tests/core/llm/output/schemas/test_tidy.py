"""What schemas of clients come to in fewer words, and that nothing else is valid for these."""

from typing import Any, Final

import pytest

from llm_api.core.llm.output.checking.json_validator import JSONValidator
from llm_api.core.llm.output.schemas.tidy import tidy

TEXTS: dict[str, Any] = {"type": "array", "items": {"type": "string"}}
NUMBERS: dict[str, Any] = {"additionalProperties": {"type": "integer"}}

CASES: Final[list[tuple[dict[str, Any], dict[str, Any]]]] = [
    ({"required": None, "properties": None, "enum": None}, {}),
    ({"const": None}, {"const": None}),
    (
        {"properties": {"required": {"type": "string"}}},
        {"properties": {"required": {"type": "string"}}},
    ),
    ({**TEXTS, "uniqueItems": False}, TEXTS),
    ({**TEXTS, "uniqueItems": True, "maxItems": 1}, {**TEXTS, "maxItems": 1}),
    ({**TEXTS, "uniqueItems": True, "maxItems": 2}, {**TEXTS, "uniqueItems": True, "maxItems": 2}),
    (
        {"prefixItems": [{"type": "string"}], "items": False, "uniqueItems": True},
        {"prefixItems": [{"type": "string"}], "items": False},
    ),
    ({"propertyNames": {"type": "string"}, **NUMBERS}, NUMBERS),
    ({"propertyNames": True}, {}),
    (
        {"propertyNames": {"type": "string", "enum": ["a", "b"]}, **NUMBERS},
        {"properties": {name: {"type": "integer"} for name in "ab"}, "additionalProperties": False},
    ),
    (
        {"propertyNames": {"const": "a"}},
        {"properties": {"a": True}, "additionalProperties": False},
    ),
    (
        {"propertyNames": {"pattern": "^a"}, **NUMBERS},
        {"patternProperties": {"^a": {"type": "integer"}}, "additionalProperties": False},
    ),
    (
        {"propertyNames": {"enum": ["a"]}, "properties": {"b": {}}},
        {"propertyNames": {"enum": ["a"]}, "properties": {"b": {}}},
    ),
    ({"propertyNames": {"maxLength": 1}}, {"propertyNames": {"maxLength": 1}}),
    ({"properties": {"a": {"not": {}}}}, {"properties": {"a": False}}),
    ({"not": False, "type": "string"}, {"type": "string"}),
    ({"not": {}}, {"not": {}}),
    ({"if": {"const": 1}}, {}),
    ({"then": {"type": "string"}, "else": False}, {}),
    ({"contains": {"const": 1}, "minContains": 0}, {}),
    ({"minContains": 2, "maxContains": 3}, {}),
    ({"dependentRequired": {}, "dependentSchemas": {}, "unevaluatedItems": True}, {}),
    (
        {"properties": {"a": {}}, "unevaluatedProperties": False},
        {"properties": {"a": {}}, "additionalProperties": False},
    ),
    (
        {"additionalProperties": {"type": "integer"}, "unevaluatedProperties": False},
        NUMBERS,
    ),
    (
        {"allOf": [{"properties": {"a": {}}}], "unevaluatedProperties": False},
        {"allOf": [{"properties": {"a": {}}}], "unevaluatedProperties": False},
    ),
    ({"prefixItems": [{}], "unevaluatedItems": False}, {"prefixItems": [{}], "items": False}),
    ({"$id": "http://a/b", "$anchor": "c", "type": "string"}, {"type": "string"}),
]

VALUES: Final[list[Any]] = [
    None, 1, 2.5, "a", "abc", [], [1], ["a"], ["a", "a"], ["a", "b"], [1, 1, "x"], {}, {"a": 1},
    {"a": "x"}, {"b": 1}, {"c": 1}, {"a": 1, "b": 2}, {"ab": 1}, {"ab": "x"}, {"required": 1},
]  # fmt: skip


@pytest.mark.parametrize(("schema", "tidied"), CASES)
def test_what_demands_nothing_is_left_out(schema: dict[str, Any], tidied: dict[str, Any]) -> None:
    assert tidy(schema) == tidied


@pytest.mark.parametrize(("schema", "tidied"), CASES)
def test_the_same_values_are_valid(schema: dict[str, Any], tidied: dict[str, Any]) -> None:
    said = {name: value for name, value in schema.items() if value is not None or name == "const"}
    before = JSONValidator(said, "x", is_lenient=True)
    after = JSONValidator(tidied, "x", is_lenient=True)
    for value in VALUES:
        assert bool(before.problem(value)) == bool(after.problem(value)), value


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (
            {"items": [{"type": "number"}, {"type": "number"}], "additionalItems": False},
            {"prefixItems": [{"type": "number"}, {"type": "number"}], "items": False},
        ),
        ({"items": [{}], "additionalItems": True}, {"prefixItems": [{}]}),
        ({"items": {"type": "string"}, "additionalItems": False}, {"items": {"type": "string"}}),
        (
            {"dependencies": {"a": ["b"], "c": {"required": ["d"]}}},
            {"dependentRequired": {"a": ["b"]}, "dependentSchemas": {"c": {"required": ["d"]}}},
        ),
        ({"minimum": 1, "exclusiveMinimum": True}, {"exclusiveMinimum": 1}),
        ({"maximum": 1, "exclusiveMaximum": False}, {"maximum": 1}),
    ],
)
def test_older_drafts_are_put_in_new_words(old: dict[str, Any], new: dict[str, Any]) -> None:
    assert tidy(old) == new
    assert tidy({"properties": {"a": old}}) == {"properties": {"a": new}}
    # An older draft's name would have the new words not heeded.
    assert tidy({"$schema": "http://json-schema.org/draft-07/schema#", **old}) == new


def test_references_lead_to_definitions_wherever_they_led() -> None:
    schema: dict[str, Any] = {
        "properties": {
            "a": {"items": [{"type": "string"}]},
            "b": {"$ref": "#/properties/a/items/0"},
            "c": {"$ref": "#"},
            "d": {"$ref": "#/$defs/known"},
        },
        "$defs": {"known": {}},
    }
    tidied = tidy(schema)
    properties, definitions = tidied["properties"], tidied["$defs"]
    assert isinstance(properties, dict)
    assert isinstance(definitions, dict)
    assert properties["b"] == {"$ref": "#/$defs/_properties_a_items_0"}
    assert definitions["_properties_a_items_0"] == {"type": "string"}
    assert definitions["_"] == {"properties": properties}
    assert properties["d"] == {"$ref": "#/$defs/known"}
    validator = JSONValidator(tidied, "x", is_lenient=True)
    assert validator.problem({"b": "x", "c": {"b": "x"}}) == ""
    assert validator.problem({"c": {"b": 1}})
