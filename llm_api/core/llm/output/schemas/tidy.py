"""A JSON Schema in the keywords of draft 2020-12, without idle ones. Pure, and exact.

Tools write the schemas of most clients. They write what always holds (`propertyNames: {"type":
"string"}`), null for nothing, or an older draft. A value is valid for the tidied schema exactly if
it is valid for the schema.
"""

import re
from collections.abc import Callable, Mapping
from typing import Final

from llm_api.core.llm.output.schemas.places import mapping_at, resolved, subschemas, with_parts
from llm_api.core.llm.output.schemas.sound import sound
from llm_api.core.llm.types import JSON

_DEFINITION: Final = re.compile(r"#/(?:\$defs|definitions)/[^/]+")
_UNFIT: Final = re.compile(r"[^A-Za-z0-9]+")
_MAY_BE_NULL: Final = frozenset({"const", "default"})
_ANCHORS: Final = frozenset({"$id", "$anchor", "$dynamicAnchor", "$recursiveAnchor", "$vocabulary"})
"""What references lead to that leave the schema, which are refused."""

_DROPPED: Final = _ANCHORS | {"$schema"}
"""A schema that still said that it is of an older draft would be read by that one's keywords."""

_ANNOTATIONS: Final = frozenset({"title", "description", "$comment", "default", "examples"})
_APPLYING: Final = frozenset(
    {"$ref", "$dynamicRef", "allOf", "anyOf", "oneOf", "if", "dependentSchemas"}
)
"""What may judge parts of a value besides the schema's own keywords."""

_IDLE_WHEN_EMPTY: Final = (
    "dependentRequired",
    "dependentSchemas",
    "unevaluatedProperties",
    "unevaluatedItems",
)

_Schema = dict[str, JSON]


def tidy(schema: Mapping[str, JSON], param: str = "tools") -> _Schema:
    """The same demands in fewer words.

    Raises InvalidRequestError where the schema is too large, or a reference leads nowhere.
    """
    whole = _tidied(_with_definitions(sound(schema, param), param))
    return whole if isinstance(whole, dict) else {"not": {}}


def _with_definitions(root: _Schema, param: str) -> _Schema:
    """The schema in which references lead to definitions alone, wherever they led before."""
    references = {
        reference
        for place in subschemas(root)
        if isinstance(place.schema, dict)
        and isinstance(reference := place.schema.get("$ref"), str)
        and not _DEFINITION.fullmatch(reference)
    }
    if not references:
        return root
    definitions = mapping_at(root, "$defs")
    names: dict[str, str] = {}
    for reference in sorted(references):
        name = _UNFIT.sub("_", reference)
        while name in definitions or name in names.values():
            name += "_"
        names[reference] = name
    rest = {name: value for name, value in root.items() if name not in {"$defs", "definitions"}}
    moved = {
        names[reference]: rest if reference == "#" else resolved(reference, root)
        for reference in references
    }

    def renamed(schema: JSON) -> JSON:
        if not isinstance(schema, dict):
            return schema
        whole = with_parts(schema, renamed)
        if (reference := str(schema.get("$ref"))) in names:
            whole["$ref"] = f"#/$defs/{names[reference]}"
        return whole

    whole = renamed(sound({**root, "$defs": {**definitions, **moved}}, param))
    return whole if isinstance(whole, dict) else root


def _tidied(schema: JSON) -> JSON:
    if not isinstance(schema, dict):
        return schema
    said = {
        name: value
        for name, value in schema.items()
        if (value is not None or name in _MAY_BE_NULL) and name not in _DROPPED
    }
    for step in _BEFORE_PARTS:
        step(said)
    whole = with_parts(said, _tidied)
    for step in _AFTER_PARTS:
        step(whole)
    return False if whole.get("not") in (True, {}) else whole


def _modernise_tuples(schema: _Schema) -> None:
    """Draft 7: `items` was a list, and `additionalItems` what came behind it."""
    behind = schema.pop("additionalItems", True)
    if isinstance(schema.get("items"), list):
        schema["prefixItems"] = schema.pop("items")
        if behind is not True:
            schema["items"] = behind


def _modernise_dependencies(schema: _Schema) -> None:
    """Draft 7: both kinds of dependencies had one name."""
    dependencies = schema.get("dependencies")
    if not isinstance(dependencies, dict):
        return
    del schema["dependencies"]
    required: _Schema = {
        name: part for name, part in dependencies.items() if isinstance(part, list)
    }
    schemas = {name: part for name, part in dependencies.items() if name not in required}
    schema.setdefault("dependentRequired", required)
    schema.setdefault("dependentSchemas", schemas)


def _modernise_bounds(schema: _Schema) -> None:
    """Draft 4: a bound was made exclusive by a word beside it."""
    for bound in ("minimum", "maximum"):
        exclusive = f"exclusive{bound.capitalize()}"
        if schema.get(exclusive) is True and bound in schema:
            schema[exclusive] = schema.pop(bound)
        elif isinstance(schema.get(exclusive), bool):
            del schema[exclusive]


def _drop_idle(schema: _Schema) -> None:
    """What demands nothing, alone or beside what is said."""
    if schema.get("uniqueItems") is False or _has_one_item_at_most(schema):
        schema.pop("uniqueItems", None)
    if _holds_of_texts(schema.get("propertyNames")):
        del schema["propertyNames"]
    for name in _IDLE_WHEN_EMPTY:
        if schema.get(name, 0) in ({}, True):
            del schema[name]
    if schema.get("not") is False:
        del schema["not"]
    if not ("if" in schema and schema.keys() & {"then", "else"}):
        _drop(schema, "if", "then", "else")
    if "contains" not in schema or (schema.get("minContains") == 0 and "maxContains" not in schema):
        _drop(schema, "contains", "minContains", "maxContains")


def _drop(schema: _Schema, *names: str) -> None:
    for name in names:
        schema.pop(name, None)


def _has_one_item_at_most(schema: _Schema) -> bool:
    most, first = schema.get("maxItems"), schema.get("prefixItems")
    is_closed = schema.get("items") is False and (not isinstance(first, list) or len(first) <= 1)
    return is_closed or (isinstance(most, int) and most <= 1)


def _holds_of_texts(schema: JSON) -> bool:
    """Whether every text is valid for a schema: that of names, which are texts."""
    if not isinstance(schema, dict):
        return schema is True
    types = schema.get("type", "string")
    return schema.keys() <= {"type", *_ANNOTATIONS} and (
        types == "string" or (isinstance(types, list) and "string" in types)
    )


def _names_to_properties(schema: _Schema) -> None:
    """Names out of a list, or of a pattern, where they are all that is said of properties."""
    names = schema.get("propertyNames")
    if not isinstance(names, dict) or schema.keys() & {"properties", "patternProperties"}:
        return
    said = names.keys() - _ANNOTATIONS - {"type"}
    if names.get("type", "string") != "string" or len(said) != 1:
        return
    values = schema.get("additionalProperties", True)
    match names:
        case {"enum": list(listed)}:
            schema["properties"] = {name: values for name in listed if isinstance(name, str)}
        case {"const": str(name)}:
            schema["properties"] = {name: values}
        case {"pattern": str(pattern)}:
            schema["patternProperties"] = {pattern: values}
        case _:
            return
    del schema["propertyNames"]
    schema["additionalProperties"] = False


def _close(schema: _Schema) -> None:
    """Rules for unevaluated parts become rules for additional ones, where nothing else judges."""
    if schema.keys() & _APPLYING:
        return
    for rest, others in (
        ("unevaluatedProperties", "additionalProperties"),
        ("unevaluatedItems", "items"),
    ):
        if rest in schema and "contains" not in schema:
            left = schema.pop(rest)
            schema.setdefault(others, left)


_BEFORE_PARTS: Final[tuple[Callable[[_Schema], None], ...]] = (
    _modernise_tuples,
    _modernise_dependencies,
    _modernise_bounds,
)
_AFTER_PARTS: Final[tuple[Callable[[_Schema], None], ...]] = (
    _drop_idle,
    _names_to_properties,
    _close,
)
