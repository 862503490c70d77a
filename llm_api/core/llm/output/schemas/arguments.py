"""What the schema of a function's parameters means for a call."""

from collections.abc import Mapping
from typing import Final

from llm_api.core.llm.types import JSON, ToolSpec

_PLAIN: Final = frozenset(
    {"type", "properties", "required", "title", "description", "$schema", "$defs", "definitions"}
)


def argument_schema(tool: ToolSpec) -> Mapping[str, JSON]:
    """The schema of a call's arguments: an object with the declared parameters. Pure.

    What a plain schema leaves open is closed: a model must not invent parameters. So a function
    without any takes `{}`.
    """
    schema = {"type": "object", "properties": {}, **tool.parameters}
    declared = properties(schema)
    required = schema.get("required", [])
    is_satisfiable = isinstance(required, list) and all(name in declared for name in required)
    if schema.keys() <= _PLAIN and is_satisfiable:
        return {**schema, "additionalProperties": False}
    return schema


def properties(schema: Mapping[str, JSON]) -> Mapping[str, JSON]:
    """The declared parameters."""
    declared = schema.get("properties")
    return declared if isinstance(declared, dict) else {}
