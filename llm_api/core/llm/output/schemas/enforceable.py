"""A JSON Schema as the grammar compiler takes it: a copy that demands the same. Pure.

Keywords that the compiler cannot enforce stay in it, for the compiler to refuse.
"""

from collections.abc import Mapping
from typing import Final

from llm_api.core.llm.output.schemas.places import (
    SCHEMA,
    SCHEMA_LISTS,
    SCHEMA_MAPPINGS,
    list_at,
    resolved,
)
from llm_api.core.llm.output.schemas.sound import MAX_DEPTH, MAX_VALUES, check_finite, sound
from llm_api.core.llm.output.schemas.string_formats import PATTERNS
from llm_api.core.llm.types import JSON

COMPILER_FORMATS: Final = frozenset(
    {
        "date", "date-time", "duration", "email", "hostname",
        "ipv4", "ipv6", "time", "unknown", "uri", "uuid",
    }
)  # fmt: skip
"""The formats that the compiler knows."""

_BY_PATTERN: Final = PATTERNS.keys() - (COMPILER_FORMATS - {"date", "date-time", "time"})
"""Formats enforced as patterns: the compiler takes days that do not exist, or lacks the format."""

ASSERTING: Final = COMPILER_FORMATS | _BY_PATTERN | {"regex"}
"""The formats that JSON Schema defines. Others assert nothing, as the specification has it."""


def enforceable(schema: Mapping[str, JSON], param: str) -> dict[str, JSON]:
    """The schema as the compiler takes it: idle formats left out, some formats as patterns.

    References that are branches of a `oneOf` are replaced by their targets: the compiler must see
    that branches exclude each other. Branches of different types become an `anyOf`, and may stay
    references. Raises InvalidRequestError, with the pointer of what is wrong.
    """
    root = sound(schema, param)
    check_finite(root, param)
    return _Enforceable(root).whole()


class _Enforceable:
    """A copy of a schema, as the compiler takes it.

    Each reference is opened once on a path, and none behind which the copy would be deeper, or
    larger, than a schema may be: the others stay.
    """

    def __init__(self, root: dict[str, JSON]) -> None:
        self._root = root
        self._copied = 0
        self._depth = 0

    def whole(self) -> dict[str, JSON]:
        return self._copy(self._root, frozenset())

    def _copy(self, schema: dict[str, JSON], opened: frozenset[str]) -> dict[str, JSON]:
        self._copied += 1
        self._depth += 1
        copy: dict[str, JSON] = {}
        for name, value in schema.items():
            if name == "format" and isinstance(value, str):
                if value in ASSERTING - _BY_PATTERN:
                    copy[name] = value
            elif name in SCHEMA_MAPPINGS and isinstance(value, dict):
                copy[name] = {key: self._part(part, opened) for key, part in value.items()}
            elif name == "oneOf" and isinstance(value, list):
                self._copy_branches(value, opened, copy, schema)
            elif name in SCHEMA_LISTS and isinstance(value, list):
                copy[name] = [self._part(part, opened) for part in value]
            else:
                copy[name] = self._part(value, opened) if name in SCHEMA else value
        wanted = schema.get("format")
        if isinstance(wanted, str) and wanted in _BY_PATTERN:
            demand: JSON = {"pattern": f"^(?:{PATTERNS[wanted]})$"}
            copy["allOf"] = [*list_at(copy, "allOf"), demand]
        self._depth -= 1
        return copy

    def _part(self, schema: JSON, opened: frozenset[str]) -> JSON:
        return self._copy(schema, opened) if isinstance(schema, dict) else schema

    def _copy_branches(
        self,
        branches: list[JSON],
        opened: frozenset[str],
        copy: dict[str, JSON],
        schema: Mapping[str, JSON],
    ) -> None:
        if "anyOf" not in schema and self._have_different_types(branches):
            copy["anyOf"] = [self._part(branch, opened) for branch in branches]
        else:
            copy["oneOf"] = [self._branch(branch, opened) for branch in branches]

    def _branch(self, schema: JSON, opened: frozenset[str]) -> JSON:
        """A branch, in place of a reference to it."""
        reference = self._reference(schema)
        is_large = self._copied > MAX_VALUES or self._depth > MAX_DEPTH
        if reference is None or reference in opened or is_large:
            return self._part(schema, opened)
        target = resolved(reference, self._root)
        if isinstance(target, dict) and "oneOf" in target:
            return schema
        return self._part(target, opened | {reference})

    def _have_different_types(self, branches: list[JSON]) -> bool:
        seen: set[str] = set()
        for branch in branches:
            reference = self._reference(branch)
            target = branch if reference is None else resolved(reference, self._root)
            types = _types(target)
            if not types or types & seen:
                return False
            seen |= types
        return True

    def _reference(self, schema: JSON) -> str | None:
        """Where a schema leads that is nothing but a reference."""
        is_reference = isinstance(schema, dict) and schema.keys() == {"$ref"}
        return str(schema["$ref"]) if is_reference and isinstance(schema, dict) else None


def _types(schema: JSON) -> set[str]:
    """The types that a schema names, whole numbers among the numbers; none where it names none."""
    named = schema.get("type") if isinstance(schema, dict) else None
    types = {named} if isinstance(named, str) else set()
    types |= set(map(str, named)) if isinstance(named, list) else set()
    return types | ({"number"} if "integer" in types else set())
