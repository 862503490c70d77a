"""The parts of a JSON Schema, where each stands, and the refusal that names the place. Pure."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from llm_api.core.errors import InvalidRequestError
from llm_api.core.llm.types import JSON

SCHEMA: Final = (
    "additionalProperties", "items", "not", "if", "then", "else", "contains", "propertyNames",
    "unevaluatedProperties", "unevaluatedItems",
)  # fmt: skip
SCHEMA_LISTS: Final = ("allOf", "anyOf", "oneOf", "prefixItems", "items")
SCHEMA_MAPPINGS: Final = (
    "properties", "patternProperties", "$defs", "definitions", "dependentSchemas",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Subschema:
    """A subschema, and the JSON pointer that leads to it from the root."""

    pointer: str
    schema: JSON


def subschemas(schema: JSON, pointer: str = "") -> Iterator[Subschema]:
    """Every subschema, each before its own parts."""
    yield Subschema(pointer, schema)
    if not isinstance(schema, dict):
        return
    for name, value in schema.items():
        inner = f"{pointer}/{escaped(name)}"
        if name in SCHEMA_MAPPINGS and isinstance(value, dict):
            for key, part in value.items():
                yield from subschemas(part, f"{inner}/{escaped(key)}")
        elif name in SCHEMA_LISTS and isinstance(value, list):
            for position, part in enumerate(value):
                yield from subschemas(part, f"{inner}/{position}")
        elif name in SCHEMA and isinstance(value, dict | bool):
            yield from subschemas(value, inner)


def with_parts(schema: Mapping[str, JSON], change: Callable[[JSON], JSON]) -> dict[str, JSON]:
    """A copy of the schema in which each part, one level down, is what `change` makes of it."""
    copy = dict(schema)
    for name, value in schema.items():
        if name in SCHEMA_MAPPINGS and isinstance(value, dict):
            copy[name] = {key: change(part) for key, part in value.items()}
        elif name in SCHEMA_LISTS and isinstance(value, list):
            copy[name] = [change(part) for part in value]
        elif name in SCHEMA and isinstance(value, dict | bool):
            copy[name] = change(value)
    return copy


def mapping_at(schema: Mapping[str, JSON], name: str) -> dict[str, JSON]:
    """The object that stands under a keyword; an empty one where none does."""
    value = schema.get(name)
    return value if isinstance(value, dict) else {}


def list_at(schema: Mapping[str, JSON], name: str) -> list[JSON]:
    """The list that stands under a keyword; an empty one where none does."""
    value = schema.get(name)
    return value if isinstance(value, list) else []


def resolved(reference: str, root: JSON) -> JSON:
    """What a local reference points at; None where that is nothing."""
    if reference != "#" and not reference.startswith("#/"):
        return None
    value = root
    for step in reference.split("/")[1:]:
        name = step.replace("~1", "/").replace("~0", "~")
        if isinstance(value, dict):
            value = value.get(name)
        elif isinstance(value, list) and name.isdigit() and int(name) < len(value):
            value = value[int(name)]
        else:
            return None
    return value


def escaped(name: str) -> str:
    """A name as a step of a JSON pointer."""
    return name.replace("~", "~0").replace("/", "~1")


def deepest_refused(
    schema: Mapping[str, JSON], why_refused: Callable[[Subschema], str]
) -> tuple[str, str]:
    """The pointer of the deepest subschema that the compiler refuses, and why; "" if none is."""
    pointer = reason = ""
    for place in subschemas(dict(schema)):
        if place.pointer.startswith(pointer) and (found := why_refused(place)):
            pointer, reason = place.pointer, found
    return pointer, reason


def refusal(pointer: str, reason: str, param: str) -> InvalidRequestError:
    """The error that says what is wrong with a schema, and where."""
    place = f"at '{pointer}'" if pointer else "at its root"
    return InvalidRequestError(
        f"The JSON Schema in '{param}' cannot be enforced: {place}, {reason}.", param=param
    )
