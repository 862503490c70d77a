"""What is given up of a schema that cannot be enforced: where it stands, and nothing around it."""

import json
from typing import Any, Final

import pytest
from llguidance import LLMatcher

from llm_api.core.errors import InvalidRequestError
from llm_api.core.llm.output.checking.json_validator import JSONValidator
from llm_api.core.llm.output.schemas.enforceable import enforceable
from llm_api.core.llm.output.schemas.relaxed import relaxed, without_unenforced
from llm_api.core.llm.output.schemas.tidy import tidy
from llm_api.core.llm.types import JSON
from tests.core.llm.client_schemas import CLIENTS_SCHEMAS
from tests.core.llm.output.grammars import tokenizer
from tests.core.llm.output.schemas.test_tidy import VALUES

TEXT: Final[dict[str, Any]] = {"type": "string"}


class Trials:
    """Asks the real compiler, and counts."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, schema: dict[str, JSON]) -> bool:
        self.count += 1
        try:
            enforced = enforceable(schema, "x")
        except InvalidRequestError:
            return True
        grammar = json.dumps({"grammars": [{"json_schema": enforced}]})
        return bool(LLMatcher(tokenizer(), grammar, log_level=0).is_error())


def an_object(part: object, **more: object) -> dict[str, Any]:
    return {"type": "object", "properties": {"a": part}, "additionalProperties": False, **more}


PARTS: Final[list[tuple[dict[str, Any], Any]]] = [
    ({"type": "array", "items": TEXT, "uniqueItems": True}, {"type": "array", "items": TEXT}),
    ({"type": "array", "contains": TEXT, "minItems": 1}, {"type": "array", "minItems": 1}),
    ({"type": "string", "pattern": "^(?=a)", "maxLength": 9}, {"type": "string", "maxLength": 9}),
    ({"type": "string", "pattern": r"\bfoo"}, TEXT),
    ({"type": "string", "format": "regex"}, TEXT),
    ({"not": {"type": "string"}, "type": ["string", "null"]}, {"type": ["string", "null"]}),
    (
        {"oneOf": [TEXT, {"type": "string", "minLength": 2}]},
        {"anyOf": [TEXT, {"type": "string", "minLength": 2}]},
    ),
    (
        {"oneOf": [TEXT, {"type": "string", "pattern": "(?=a)"}], "anyOf": [{"maxLength": 3}]},
        {"anyOf": [{"maxLength": 3}], "allOf": [{"anyOf": [TEXT, TEXT]}]},
    ),
    (
        {"type": "object", "properties": {"b": TEXT, "c": TEXT}, "dependentRequired": {"b": ["c"]}},
        {"type": "object", "properties": {"b": TEXT, "c": TEXT}},
    ),
    (
        {"type": "object", "patternProperties": {"^(?!x)": TEXT}, "additionalProperties": False},
        {"type": "object"},
    ),
    (
        {"type": "object", "properties": {"b": TEXT}, "minProperties": 1},
        {"type": "object", "properties": {"b": TEXT}},
    ),
    (
        {"type": "object", "if": {"required": ["b"]}, "then": {"required": ["c"]}},
        {"type": "object"},
    ),
    (
        {"type": "object", "allOf": [an_object(TEXT)], "unevaluatedProperties": False},
        {"type": "object", "allOf": [an_object(TEXT)]},
    ),
    (
        {"items": {"items": {"uniqueItems": True, "maxItems": 4}}},
        {"items": {"items": {"maxItems": 4}}},
    ),
]


@pytest.mark.parametrize(("part", "left"), PARTS)
def test_a_keyword_goes_where_it_stands(part: dict[str, Any], left: Any) -> None:
    trials = Trials()
    schema = an_object(part, required=["a"])
    assert relaxed(schema, trials) == an_object(left, required=["a"])
    assert trials.count < 20


@pytest.mark.parametrize(("part", "_"), PARTS)
def test_what_is_valid_stays_valid(part: dict[str, Any], _: Any) -> None:
    before = JSONValidator(an_object(part), "x", is_lenient=True)
    after = JSONValidator(relaxed(an_object(part), Trials()), "x", is_lenient=True)
    for value in VALUES:
        if not before.problem({"a": value}):
            assert not after.problem({"a": value}), value


def test_a_schema_that_can_be_enforced_stays_as_it_is() -> None:
    schema = an_object({"type": "array", "items": TEXT})
    trials = Trials()
    assert relaxed(schema, trials) is schema
    assert trials.count == 1


def test_a_definition_is_relaxed_where_it_is_defined() -> None:
    schema = an_object(
        {"type": "array", "items": {"$ref": "#/$defs/list"}},
        **{
            "$defs": {
                "list": {"type": "array", "items": {"$ref": "#/$defs/name"}},
                "name": {"type": "string", "pattern": "(?!a)b", "maxLength": 3},
                "other": {"type": "string", "pattern": "(?!a)c"},
            }
        },
    )
    left = relaxed(schema, Trials())
    assert left["properties"] == schema["properties"]
    definitions = left["$defs"]
    assert isinstance(definitions, dict)
    assert definitions["list"] == {"type": "array", "items": {"$ref": "#/$defs/name"}}
    assert definitions["name"] == {"type": "string", "maxLength": 3}


def test_what_nothing_satisfies_is_not_demanded() -> None:
    assert relaxed(an_object(False, required=["a"]), Trials()) == an_object(False) | {
        "type": "object"
    }
    endless = tidy({"type": "object", "properties": {"a": {"$ref": "#"}}, "required": ["a"]})
    assert "required" not in relaxed(endless, Trials())


def test_what_is_less_than_it_was_is_not_closed_for_being_plain() -> None:
    schema: dict[str, Any] = {
        "type": "object",
        "properties": {},
        "if": {"required": ["b"]},
        "then": False,
    }
    assert relaxed(schema, Trials()) == {
        "type": "object",
        "properties": {},
        "additionalProperties": True,
    }


def test_where_there_is_no_end_to_it_any_object_will_do() -> None:
    hopeless: dict[str, Any] = {
        f"p{number}": {"pattern": f"(?=a){number}"} for number in range(500)
    }
    trials = Trials()
    assert relaxed({"type": "object", "properties": hopeless}, trials) == {"type": "object"}
    assert trials.count <= 302


def test_keywords_without_a_grammar_go_without_asking() -> None:
    schema = an_object({"uniqueItems": True, "items": {"not": {}}, "maxItems": 2})
    assert without_unenforced(schema) == an_object({"items": {}, "maxItems": 2})


@pytest.mark.parametrize("name", CLIENTS_SCHEMAS)
def test_what_clients_libraries_write_can_be_held_nearly_all_of_it(name: str) -> None:
    given, valid = CLIENTS_SCHEMAS[name]
    whole = tidy(given)
    trials = Trials()
    held = relaxed(whole, trials)
    assert not trials(held)
    assert (held is whole) == (name not in {"zod formats", "pydantic set"})
    for schema in (whole, held):
        validator = JSONValidator(schema, "x", is_lenient=True)
        assert validator.problem(valid) == ""
        assert validator.problem({key: [0.5] for key in valid})
