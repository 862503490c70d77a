"""Which schemas are refused before anything is compiled, and where they say it is."""

from typing import Any

import pytest

from llm_api.core.errors import InvalidRequestError
from llm_api.core.llm.json_schema import FORMATS, MAX_DEPTH, Place, checked, deepest_refused
from llm_api.core.llm.string_formats import PATTERNS


def a_list_of(item: object, least: int) -> dict[str, Any]:
    return {"type": "array", "items": item, "minItems": least}


def an_object(properties: dict[str, object], *required: str) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(required)}


def nested(depth: int) -> dict[str, Any]:
    schema: dict[str, Any] = {}
    for _ in range(depth):
        schema = {"items": schema}
    return schema


ITSELF: dict[str, Any] = {"$ref": "#"}
NODE: dict[str, Any] = {"$ref": "#/$defs/node"}


@pytest.mark.parametrize(
    "schema",
    [
        {},
        {"type": "object"},
        an_object({"next": ITSELF}),
        an_object({"next": {"anyOf": [ITSELF, {"type": "null"}]}}, "next"),
        an_object({"next": {"type": ["object", "null"], "properties": {"a": ITSELF}}}, "next"),
        an_object({"children": a_list_of(ITSELF, 0)}, "children"),
        {"$ref": "#/$defs/node", "$defs": {"node": an_object({"left": NODE, "v": {}}, "v")}},
        {"properties": {"a": ITSELF}, "required": ["a"]},
        {"type": "array", "prefixItems": [{"type": "integer"}], "items": ITSELF, "minItems": 1},
        {"anyOf": [False, {"type": "string"}]},
    ],
)
def test_a_schema_that_some_value_satisfies_passes(schema: dict[str, Any]) -> None:
    assert checked(schema, "response_format") == schema


@pytest.mark.parametrize(
    ("schema", "pointer"),
    [
        (ITSELF, "at its root"),
        (an_object({"next": ITSELF}, "next"), "'/properties/next'"),
        (an_object({"a": {"type": "string"}, "b": False}, "b"), "'/properties/b'"),
        (a_list_of(ITSELF, 1), "'/items'"),
        (an_object({"x": {"allOf": [{}, ITSELF]}}, "x"), "'/properties/x/allOf/1'"),
        (
            {"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/b"}, "b": ITSELF}},
            "'/$defs/b'",
        ),
        ({"anyOf": [ITSELF, False]}, "'/anyOf/1'"),
        ({"type": "object", "required": ["x"], "additionalProperties": False}, "root"),
    ],
)
def test_a_schema_without_a_finite_value_is_refused(schema: dict[str, Any], pointer: str) -> None:
    with pytest.raises(InvalidRequestError, match="no finite value") as raised:
        checked(schema, "response_format")
    assert pointer in raised.value.message
    assert raised.value.param == "response_format"


@pytest.mark.parametrize(
    "reference", ["#/$defs/absent", "http://elsewhere/schema", "node", "#/required/x", 7, ""]
)
def test_a_reference_that_leads_nowhere_is_refused_where_it_stands(reference: object) -> None:
    schema: dict[str, Any] = {"properties": {"a/b": {"$ref": reference}}, "required": ["a/b"]}
    with pytest.raises(InvalidRequestError, match="'/properties/a~1b', the reference"):
        checked(schema, "tools")


def test_a_reference_into_a_list_is_followed() -> None:
    schema: dict[str, Any] = {"prefixItems": [{"type": "string"}, {"$ref": "#/prefixItems/0"}]}
    assert checked(schema, "tools") == schema


@pytest.mark.parametrize(
    "schema",
    [
        nested(MAX_DEPTH),
        {"enum": list(range(10_001))},
        {"type": "string", "pattern": "a" * 10_000_000},
        {"const": "a" * 5_000_000},
        {"properties": {"a" * 1_000_000: {}}},
        {"enum": ["a" * 1_000 for _ in range(500)]},
    ],
    ids=["depth", "values", "pattern", "const", "name", "texts"],
)
def test_a_schema_that_is_too_large_is_refused(schema: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequestError, match="too large"):
        checked(schema, "response_format")


def test_formats_that_assert_nothing_and_compiler_options_are_left_out() -> None:
    email = {"type": "string", "format": "email"}
    schema: dict[str, Any] = {
        "x-guidance": {"lenient": True},
        "type": "object",
        "properties": {
            "format": email,
            "colour": {"type": "string", "format": "colour"},
            "list": {"items": {"format": "int32", "type": "integer"}},
        },
        "anyOf": [{"format": "byte"}],
    }
    assert checked(schema, "tools") == {
        "type": "object",
        "properties": {
            "format": email,
            "colour": {"type": "string"},
            "list": {"items": {"type": "integer"}},
        },
        "anyOf": [{}],
    }


def test_days_are_days_that_there_are() -> None:
    pattern = {"pattern": f"^(?:{PATTERNS['date']})$"}
    schema: dict[str, Any] = {"format": "date", "pattern": "^2", "allOf": [{"minLength": 1}]}
    assert checked(schema, "tools") == {"pattern": "^2", "allOf": [{"minLength": 1}, pattern]}


@pytest.mark.parametrize("name", sorted(PATTERNS.keys() - FORMATS))
def test_a_format_that_the_compiler_does_not_know_is_a_pattern(name: str) -> None:
    assert checked({"format": name}, "tools") == {"allOf": [{"pattern": f"^(?:{PATTERNS[name]})$"}]}


def test_a_format_that_no_pattern_says_stays_for_the_compiler_to_refuse() -> None:
    assert checked({"format": "regex"}, "tools") == {"format": "regex"}


def test_the_branches_of_a_one_of_stand_in_place() -> None:
    cat = {"properties": {"kind": {"const": "cat"}}}
    schema: dict[str, Any] = {
        "oneOf": [{"$ref": "#/$defs/cat"}, {"type": "null"}],
        "$defs": {"cat": cat},
    }
    assert checked(schema, "tools")["oneOf"] == [cat, {"type": "null"}]


def test_the_deepest_refused_part_is_found() -> None:
    schema = an_object({"a": {}, "b": {"items": {"uniqueItems": True}}, "c": {}})

    def why(place: Place) -> str:
        return place.pointer.upper() if "uniqueItems" in str(place.schema) else ""

    assert deepest_refused(schema, why) == ("/properties/b/items", "/PROPERTIES/B/ITEMS")
    assert deepest_refused(schema, lambda place: "") == ("", "")


def test_a_format_that_is_no_text_stays_for_the_compiler_to_refuse() -> None:
    assert checked({"type": "string", "format": []}, "tools") == {"type": "string", "format": []}
