"""Which schemas are refused before anything is compiled, and where they say it is."""

import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, cast

import pytest

from llm_api.core.errors import InvalidRequestError
from llm_api.core.llm.output.schemas.enforceable import COMPILER_FORMATS, enforceable
from llm_api.core.llm.output.schemas.places import Subschema, deepest_refused
from llm_api.core.llm.output.schemas.sound import MAX_DEPTH
from llm_api.core.llm.output.schemas.string_formats import PATTERNS
from llm_api.core.llm.types import JSON


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
    assert enforceable(schema, "response_format") == schema


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
        enforceable(schema, "response_format")
    assert pointer in raised.value.message
    assert raised.value.param == "response_format"


@pytest.mark.parametrize(
    "reference", ["#/$defs/absent", "http://elsewhere/schema", "node", "#/required/x", 7, ""]
)
def test_a_reference_that_leads_nowhere_is_refused_where_it_stands(reference: object) -> None:
    schema: dict[str, Any] = {"properties": {"a/b": {"$ref": reference}}, "required": ["a/b"]}
    with pytest.raises(InvalidRequestError, match="'/properties/a~1b', the reference"):
        enforceable(schema, "tools")


def test_a_reference_into_a_list_is_followed() -> None:
    schema: dict[str, Any] = {"prefixItems": [{"type": "string"}, {"$ref": "#/prefixItems/0"}]}
    assert enforceable(schema, "tools") == schema


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
        enforceable(schema, "response_format")


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
    assert enforceable(schema, "tools") == {
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
    assert enforceable(schema, "tools") == {"pattern": "^2", "allOf": [{"minLength": 1}, pattern]}


@pytest.mark.parametrize("name", sorted(PATTERNS.keys() - COMPILER_FORMATS))
def test_a_format_that_the_compiler_does_not_know_is_a_pattern(name: str) -> None:
    assert enforceable({"format": name}, "tools") == {
        "allOf": [{"pattern": f"^(?:{PATTERNS[name]})$"}]
    }


def test_a_format_that_no_pattern_says_stays_for_the_compiler_to_refuse() -> None:
    assert enforceable({"format": "regex"}, "tools") == {"format": "regex"}


def test_the_branches_of_a_one_of_stand_in_place() -> None:
    cat = {"properties": {"kind": {"const": "cat"}}}
    schema: dict[str, Any] = {
        "oneOf": [{"$ref": "#/$defs/cat"}, {"type": "null"}],
        "$defs": {"cat": cat},
    }
    assert enforceable(schema, "tools")["oneOf"] == [cat, {"type": "null"}]


def test_the_deepest_refused_part_is_found() -> None:
    schema = an_object({"a": {}, "b": {"items": {"uniqueItems": True}}, "c": {}})

    def why(place: Subschema) -> str:
        return place.pointer.upper() if "uniqueItems" in str(place.schema) else ""

    assert deepest_refused(schema, why) == ("/properties/b/items", "/PROPERTIES/B/ITEMS")
    assert deepest_refused(schema, lambda place: "") == ("", "")


def test_a_format_that_is_no_text_stays_for_the_compiler_to_refuse() -> None:
    assert enforceable({"type": "string", "format": []}, "tools") == {
        "type": "string",
        "format": [],
    }


def chain(length: int, link: Callable[[dict[str, Any]], dict[str, Any]]) -> dict[str, Any]:
    """Definitions of which each holds what `link` makes of a reference to the next."""
    levels = {f"d{i}": link({"$ref": f"#/$defs/d{i + 1}"}) for i in range(length)}
    return {"$ref": "#/$defs/d0", "$defs": {**levels, f"d{length}": {"type": "string"}}}


LABORIOUS: dict[str, dict[str, Any]] = {
    "references": chain(3000, lambda following: following),
    "doubling branches": chain(100, lambda following: an_object({"a": {"oneOf": [following] * 2}})),
    "a chain of branches": chain(3000, lambda following: {"oneOf": [following, {"const": 1}]}),
    "a chain of parts": chain(1500, lambda following: an_object({"a": {"oneOf": [following]}})),
    "tripling parts": chain(1000, lambda following: {"allOf": [following] * 3}),
    "names that repeat": {
        "type": "object",
        "required": ["a"] * 4000,
        "properties": {"a": {"type": "object", "required": ["a"] * 4000, "properties": {"a": {}}}},
    },
    "a crowd": {
        "anyOf": [{"$ref": f"#/$defs/{i}"} for i in range(1500)],
        "$defs": {str(i): {"$ref": f"#/$defs/{(i + 1) % 1500}"} for i in range(1500)},
    },
    "all of all": {
        "$defs": {
            str(i): {"allOf": [{"$ref": f"#/$defs/{j}"} for j in range(60)]} for i in range(60)
        },
        "$ref": "#/$defs/0",
    },
}  # fmt: skip


@pytest.mark.parametrize("schema", LABORIOUS.values(), ids=LABORIOUS)
def test_references_are_followed_in_less_than_a_second(schema: dict[str, Any]) -> None:
    began = time.thread_time()
    with suppress(InvalidRequestError):
        enforceable(schema, "response_format")
    assert time.thread_time() - began < 1


def test_a_branch_that_holds_itself_stays_a_reference() -> None:
    either = {"oneOf": [{"$ref": "#/$defs/tree"}, {"const": 1}]}
    schema: dict[str, Any] = {**either, "$defs": {"tree": an_object({"next": either})}}
    tree = an_object({"next": either})
    opened = enforceable(schema, "response_format")
    assert opened["oneOf"] == [tree, {"const": 1}]


def test_branches_of_different_types_need_not_be_opened() -> None:
    either = {"oneOf": [{"$ref": "#/$defs/node"}, {"type": "null"}]}
    any_of = {"anyOf": either["oneOf"]}
    schema: dict[str, Any] = {
        "$ref": "#/$defs/node",
        "$defs": {"node": an_object({"next": either})},
    }
    expected = {"$ref": "#/$defs/node", "$defs": {"node": an_object({"next": any_of})}}
    assert enforceable(schema, "response_format") == expected


@pytest.mark.parametrize(
    "branches",
    [
        [{"type": "integer"}, {"type": "number"}],
        [{"type": "string"}, {"const": 1}],
        [{"type": ["string", "null"]}, {"type": "null"}],
        [{"type": "string"}, {"$ref": "#/$defs/any"}],
    ],
)
def test_branches_that_may_both_hold_stay_one_of(branches: list[JSON]) -> None:
    opened = enforceable({"oneOf": branches, "$defs": {"any": {}}}, "response_format")
    assert "anyOf" not in opened
    assert len(cast("list[object]", opened["oneOf"])) == 2
