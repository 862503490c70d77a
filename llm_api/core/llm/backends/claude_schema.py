"""Which JSON Schemas Claude decodes by. Pure.

Source: Anthropic's documentation of structured outputs, and `transform_schema` of its client, which
turns the rest into words. Does not look for recursion, which the server refuses by itself.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Final

from llm_api.core.errors import UnsupportedParameterError
from llm_api.core.llm.output.schemas.enforceable import ASSERTING, COMPILER_FORMATS
from llm_api.core.llm.output.schemas.places import Subschema, subschemas
from llm_api.core.llm.output.schemas.sound import check_finite, sound
from llm_api.core.llm.types import JSON

_PARAM: Final = "response_format"

_TYPING: Final = frozenset({"type", "enum", "const", "anyOf", "allOf", "$ref"})

_KEYWORDS: Final = _TYPING | frozenset(
    {
        "$defs", "definitions", "properties", "required", "additionalProperties", "items",
        "minItems", "format", "title", "description", "default", "$schema",
    }
)  # fmt: skip


_FORMATS: Final = COMPILER_FORMATS - {"unknown"}


def native_schema(schema: Mapping[str, JSON]) -> dict[str, JSON]:
    """The schema as it is sent: without the formats that assert nothing, which Claude refuses.

    Raises UnsupportedParameterError, with the place, for what Claude would not keep to, and
    InvalidRequestError for what nobody can.
    """
    root = sound(schema, _PARAM)
    check_finite(root, _PARAM)
    for place in subschemas(root):
        if reason := _why_unsupported(place):
            at = f"at '{place.pointer}'" if place.pointer else "at its root"
            raise UnsupportedParameterError(
                f"The JSON Schema in '{_PARAM}' is not available with this model's backend: {at},"
                f" {reason}.",
                param=_PARAM,
            )
    return _sent(root)


def _sent(schema: dict[str, JSON]) -> dict[str, JSON]:
    return {
        name: _sent_value(name, value)
        for name, value in schema.items()
        if name != "format" or value in ASSERTING
    }


def _sent_value(keyword: str, value: JSON) -> JSON:
    match keyword, value:
        case "properties" | "$defs" | "definitions", dict():
            return {name: _sent_part(part) for name, part in value.items()}
        case "anyOf" | "allOf", list():
            return [_sent_part(part) for part in value]
        case "items" | "additionalProperties", _:
            return _sent_part(value)
        case _:
            return value


def _sent_part(schema: JSON) -> JSON:
    return _sent(schema) if isinstance(schema, dict) else schema


def _why_unsupported(place: Subschema) -> str:
    """What is wrong with one subschema; nothing where it is supported."""
    match place.schema:
        case False if place.pointer.endswith("/additionalProperties"):
            return ""
        case dict() as schema:
            return next((reason for holds, reason in _problems(schema) if holds), "")
        case other:
            return f"{json.dumps(other)} is no type"


def _problems(schema: Mapping[str, JSON]) -> Iterator[tuple[bool, str]]:
    """What may be wrong, each with whether it is."""
    for name in sorted(schema.keys() - _KEYWORDS):
        yield True, f"'{name}' cannot be enforced"
    wanted = schema.get("format")
    is_foreign = wanted in ASSERTING and wanted not in _FORMATS
    yield is_foreign, f"the format {wanted!r} cannot be enforced"
    types = schema.get("type")
    is_object = types == "object" or (isinstance(types, list) and "object" in types)
    is_open = is_object and schema.get("additionalProperties") is not False
    yield not schema.keys() & _TYPING, "a type is needed"
    yield is_open, "'additionalProperties' must be false"
    yield schema.get("minItems", 0) not in (0, 1), "'minItems' must be 0 or 1"
