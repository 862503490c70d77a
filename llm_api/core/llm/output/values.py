"""Argument values that are written outside of JSON: bare text, or Python's literals."""

import ast
import json
from collections.abc import Mapping
from typing import Final

from pydantic_core import from_json

from llm_api.core.llm.output.schemas.places import mapping_at
from llm_api.core.llm.types import JSON

_ANNOTATIONS: Final = frozenset({"type", "title", "description", "default", "examples"})
_DEFINITIONS: Final = frozenset({"$defs", "definitions"})


def is_plain_text(schema: Mapping[str, JSON]) -> bool:
    """Whether any text is valid for a parameter, so that it can be written without quotes."""
    return schema.get("type") == "string" and schema.keys() <= _ANNOTATIONS | _DEFINITIONS


def text_choices(schema: Mapping[str, JSON]) -> list[str] | None:
    """The texts of an enumeration of texts."""
    if not schema.keys() <= _ANNOTATIONS | _DEFINITIONS | {"enum"}:
        return None
    choices = schema.get("enum")
    if not isinstance(choices, list):
        return None
    texts = [choice for choice in choices if isinstance(choice, str)]
    return texts if len(texts) == len(choices) else None


def value_schema(schema: Mapping[str, JSON], name: str) -> dict[str, JSON]:
    """The schema of one parameter, with the definitions that it may refer to."""
    own = mapping_at(schema, "properties").get(name)
    definitions = {key: schema[key] for key in _DEFINITIONS if key in schema}
    return {**definitions, **own} if isinstance(own, dict) else definitions


def value_json(text: str) -> str:
    """The JSON for a value that stands for itself: JSON, a Python literal, or just text."""
    text = text.strip()
    try:
        from_json(text, allow_inf_nan=False)
    except ValueError:
        return _literal_json(text)
    return text


def _literal_json(text: str) -> str:
    try:
        return to_json(ast.literal_eval(text))
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return to_json(text)


def to_json(value: object) -> str:
    """JSON that can be sent as UTF-8: lone surrogates are escaped. Raises TypeError, ValueError."""
    written = json.dumps(value, ensure_ascii=False, allow_nan=False)
    is_sendable = not any("\ud800" <= character <= "\udfff" for character in written)
    return written if is_sendable else json.dumps(value, allow_nan=False)
