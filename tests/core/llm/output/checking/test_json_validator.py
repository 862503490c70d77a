"""What is valid for a schema, what is refused, and that no schema takes endless time."""

import time
import tracemalloc
from contextlib import suppress
from typing import Any

import pytest

from llm_api.core.errors import InvalidRequestError
from llm_api.core.llm.output.checking import json_validator
from llm_api.core.llm.output.checking.json_validator import CHECK_SECONDS, JSONValidator
from llm_api.core.llm.output.checking.string_checks import UncheckableError

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
    ("schema", "valid", "invalid"),
    [
        ({"pattern": r"^(?=.*\d)\w+$"}, "a1", "ab"),
        ({"pattern": r"(.)\1"}, "aa", "ab"),
        ({"patternProperties": {"^(?!x)": {"type": "integer"}}}, {"a": 1, "x": "y"}, {"a": "y"}),
        ({"uniqueItems": True}, [1, True, "1", [1], {"a": 1}], [{"a": [1]}, {"a": [1.0]}]),
        ({"propertyNames": {"enum": ["a", "b"]}}, {"a": 1}, {"c": 1}),
        ({"not": {"type": "string"}}, 1, "x"),
        ({"if": {"required": ["a"]}, "then": {"required": ["b"]}}, {"a": 1, "b": 1}, {"a": 1}),
        ({"oneOf": [{"type": "integer"}, {"minimum": 2}]}, 1.5 + 1, 3),
        ({"contains": {"type": "integer"}, "maxContains": 1}, ["x", 1], [1, 2]),
        ({"dependentRequired": {"a": ["b"]}}, {"b": 1}, {"a": 1}),
        ({"dependentSchemas": {"a": {"maxProperties": 1}}}, {"a": 1}, {"a": 1, "b": 1}),
        (
            {"allOf": [{"properties": {"a": {}}}], "unevaluatedProperties": False},
            {"a": 1},
            {"b": 1},
        ),
        (
            {
                "if": {"properties": {"a": {"const": 1}}, "required": ["a"]},
                "else": {"patternProperties": {"^b": {}}},
                "unevaluatedProperties": {"type": "null"},
            },
            {"a": 1, "c": None},
            {"a": 2, "b": 1},
        ),
        (
            {"prefixItems": [{}], "contains": {"const": 5}, "unevaluatedItems": False},
            [1, 5],
            [5, 1],
        ),
        ({"$ref": "#/elsewhere", "elsewhere": {"pattern": "(?=x)"}}, "x", "y"),
    ],
    ids=lambda value: "+".join(value) if isinstance(value, dict) else "",
)
def test_the_lenient_have_every_keyword_judged(
    schema: dict[str, Any], valid: Any, invalid: Any
) -> None:
    validator = JSONValidator(schema, "tools", is_lenient=True)
    assert validator.problem(valid) == ""
    assert validator.problem(invalid)


@pytest.mark.parametrize(
    ("name", "valid", "invalid"),
    [
        ("date", "2024-02-29", "2026-02-31"),
        ("date", "2000-02-29", "1900-02-29"),
        ("date-time", "2026-02-28T23:59:59Z", "2026-02-29T00:00:00Z"),
        ("time", "10:20:30.5+02:00", "24:00:00Z"),
        ("duration", "P1Y2M3DT4H", "P1Y3D"),
        ("email", "ada@example.com", "ada"),
        ("idn-email", "ä@köln.de", "köln.de"),
        ("hostname", "a.example", "-a.example"),
        ("idn-hostname", "köln.de", "köln..de"),
        ("ipv4", "127.0.0.1", "127.0.0.256"),
        ("ipv6", "::ffff:1.2.3.4", "1::2::3"),
        ("uri", "https://a.example/b?c#d", "/b"),
        ("uri-reference", "../b?c", "a b"),
        ("iri", "https://köln.de/ü", "ü"),
        ("iri-reference", "ü", "ü ü"),
        ("uri-template", "/a/{b}{?c*}", "/a/{b"),
        ("uuid", "00000000-0000-0000-0000-00000000000A", "0000"),
        ("json-pointer", "/a~1b/0", "a"),
        ("relative-json-pointer", "1/a", "/a"),
        ("regex", "^(?=a)b", "(["),
    ],
)
def test_the_formats_that_json_schema_defines_assert(name: str, valid: str, invalid: str) -> None:
    validator = JSONValidator({"format": name}, "tools")
    assert validator.problem(valid) == ""
    assert validator.problem(invalid) == f"{invalid!r} is not a {name!r}"
    assert validator.problem(5) == ""


def test_no_schema_is_fetched() -> None:
    away: dict[str, Any] = {"$ref": "http://localhost:9/schema"}
    with pytest.raises(InvalidRequestError, match="leads nowhere"):
        JSONValidator({"dependentSchemas": {"a": away}}, "response_format")
    with pytest.raises(UncheckableError, match="leads nowhere"):
        lenient({"$ref": "#/hidden", "hidden": away}).problem({"a": 1})


def test_a_pattern_takes_linear_time() -> None:
    validator = JSONValidator({"pattern": "^(a+)+$"}, "response_format")
    started = time.thread_time()
    assert validator.problem("a" * 10_000 + "b")
    assert time.thread_time() - started < 1


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
    with pytest.raises(UncheckableError, match="too long to check"):
        JSONValidator(schema, "response_format").problem(1)


def lenient(schema: dict[str, Any]) -> JSONValidator:
    return JSONValidator(schema, "tools", is_lenient=True)


DOUBLING: dict[str, Any] = {
    **{f"a{number}": {"allOf": [{"$ref": f"#/$defs/a{number + 1}"}] * 2} for number in range(40)},
    "a40": {"properties": {"x": {}}},
}


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"pattern": "^(?=a)(a|aa)+$"}, "a" * 100_000 + "b"),
        ({"pattern": r"^(.*,){11}\1P"}, "1,2,3,4,5,6,7,8,9,10,11,12,13," * 200),
        ({"propertyNames": {"pattern": "^(?=a)(a|aa)+$"}}, {"a" * 1000 + "b": 1}),
        ({"$defs": DOUBLING, "$ref": "#/$defs/a0", "unevaluatedProperties": False}, {"x": 1}),
        (
            {"$defs": DOUBLING, "items": {"unevaluatedProperties": False, "$ref": "#/$defs/a0"}},
            [{"x": 1}] * 1000,
        ),
    ],
    ids=["ambiguous", "back-reference", "names", "references", "items"],
)
def test_what_no_bound_is_known_of_is_given_up_in_time(schema: dict[str, Any], value: Any) -> None:
    validator = lenient(schema)
    began = time.thread_time()
    with pytest.raises(UncheckableError, match="too long"):
        validator.problem(value)
    assert time.thread_time() - began < 2 * CHECK_SECONDS


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"uniqueItems": True}, [*range(300_000), 0]),
        ({"uniqueItems": True}, [[number] for number in range(100_000)]),
        ({"anyOf": [{"const": number} for number in range(1000)]}, ["x" * 100] * 3000),
        ({"items": {"enum": list(range(1000))}}, ["x"] * 100_000),
        ({"oneOf": [{"required": [str(name)]} for name in range(2500)]}, {"a": "x" * 100_000}),
    ],
    ids=["numbers", "lists", "anyOf", "enum", "oneOf"],
)
def test_a_check_takes_little_time_and_memory(schema: dict[str, Any], value: Any) -> None:
    validator = lenient(schema)
    tracemalloc.start()
    began = time.thread_time()
    with suppress(UncheckableError):
        validator.problem(value)
    seconds = time.thread_time() - began
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert seconds < 3 * CHECK_SECONDS  # tracing makes it slower
    assert peak < 100 * 2**20


@pytest.mark.parametrize("pattern", ["([", "(?=" * 400, "(?=a)" + "a" * 5000])
def test_a_pattern_that_no_engine_takes_leaves_the_matter_open(pattern: str) -> None:
    with pytest.raises(UncheckableError, match="pattern"):
        lenient({"pattern": pattern}).problem("a")


def test_a_malformed_schema_is_refused_of_the_lenient_too() -> None:
    with pytest.raises(InvalidRequestError, match="'/properties/a/uniqueItems'"):
        lenient({"properties": {"a": {"uniqueItems": "yes"}}})


def test_a_value_too_deep_to_walk_is_not_valid() -> None:
    value: Any = None
    for _ in range(5000):
        value = {"next": value}
    assert "too deeply" in JSONValidator(LIST, "response_format").problem(value)
