"""What is near a schema: mostly valid, not always; recursive schemas end."""

from typing import Any

from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from scripts.fuzz.near_schema import NearSchema
from scripts.fuzz.rounds import Target, run_round

TREE = {
    "$defs": {
        "Tree": {
            "type": "object",
            "properties": {
                "model": {"type": "string"},
                "size": {"type": "integer", "minimum": 1, "maximum": 3},
                "colour": {"enum": ["red", "blue"]},
                "leaves": {
                    "anyOf": [
                        {"type": "array", "items": {"$ref": "#/$defs/Tree"}},
                        {"type": "null"},
                    ]
                },
            },
            "required": ["model", "size"],
            "additionalProperties": False,
        }
    }
}
REFERENCE = {"$ref": "#/$defs/Tree"}


def test_values_are_mostly_but_not_always_what_the_schema_allows() -> None:
    values: list[Any] = []
    near = NearSchema(TREE, {"model": st.just("oak")})
    run_round(Target(near.values(REFERENCE), values.append), number=1, examples=300)
    is_valid = Draft202012Validator({**TREE, **REFERENCE}).is_valid
    valid = [value for value in values if is_valid(value)]
    assert len(values) / 3 < len(valid) < len(values)
    assert {value["model"] for value in valid} >= {"oak"}
    assert any(value.get("leaves") for value in values if isinstance(value, dict))
