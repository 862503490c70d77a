"""What a JSON Schema must be before decoding is constrained by it. Pure.

Covers: its size, references that lead nowhere, and schemas that no finite value satisfies. Does not
cover: keywords that cannot be enforced; the grammar compiler refuses those, and `deepest_refused`
finds the place.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from llm_api.core.errors import InvalidRequestError
from llm_api.core.llm.output.schemas.string_formats import PATTERNS
from llm_api.core.llm.types import JSON

MAX_VALUES: Final = 10_000
MAX_DEPTH: Final = 64
MAX_CHARACTERS: Final = 128 * 1024
"""Of all names and texts in a schema together."""
MAX_STEPS: Final = 200_000
"""What may be looked at to tell whether a finite value satisfies a schema: a tenth of a second."""

FORMATS: Final = frozenset(
    {
        "date", "date-time", "duration", "email", "hostname",
        "ipv4", "ipv6", "time", "unknown", "uri", "uuid",
    }
)  # fmt: skip
"""The formats that the compiler knows."""

_BY_PATTERN: Final = PATTERNS.keys() - (FORMATS - {"date", "date-time", "time"})
"""Formats that are enforced as patterns: of days the compiler knows too many, of others nothing."""

ASSERTING: Final = FORMATS | _BY_PATTERN | {"regex"}
"""The formats that JSON Schema defines. Others assert nothing, as the specification has it."""

_SCHEMA: Final = (
    "additionalProperties", "items", "not", "if", "then", "else", "contains", "propertyNames",
    "unevaluatedProperties", "unevaluatedItems",
)  # fmt: skip
_SCHEMA_LISTS: Final = ("allOf", "anyOf", "oneOf", "prefixItems", "items")
_SCHEMA_MAPPINGS: Final = (
    "properties", "patternProperties", "$defs", "definitions", "dependentSchemas",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Place:
    """A subschema, and the JSON pointer that leads to it from the root."""

    pointer: str
    schema: JSON


def checked(schema: Mapping[str, JSON], param: str) -> dict[str, JSON]:
    """The schema as it is to be enforced: formats that assert nothing left out, some as patterns.

    The branches of a `oneOf` are put in place of references to them: only so can the compiler see
    that they exclude each other. Those of different types are an `anyOf`, and may be references.
    Raises InvalidRequestError, with the pointer of what is wrong.
    """
    root = sound(schema, param)
    check_finite(root, param)
    return _Enforceable(root).whole()


def sound(schema: Mapping[str, JSON], param: str) -> dict[str, JSON]:
    """The schema without compiler options.

    Raises InvalidRequestError where it is too large, or refers to nothing.
    """
    root = {name: value for name, value in schema.items() if name != "x-guidance"}
    _check_size(root, param)
    for place in subschemas(root):
        _check_reference(place, root, param)
    return root


def check_finite(root: dict[str, JSON], param: str) -> None:
    """Raises InvalidRequestError for a schema that no finite value satisfies."""
    finiteness = _Finiteness(root, param)
    if not finiteness.can_end(root):
        places = list(subschemas(root))
        endless = [place.pointer for place in places if not finiteness.can_end(place.schema)]
        deepest = [pointer for pointer in endless if not pointer.endswith("/additionalProperties")]
        raise refusal(deepest[-1], "no finite value satisfies it", param)


def deepest_refused(
    schema: Mapping[str, JSON], why_refused: Callable[[Place], str]
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


def subschemas(schema: JSON, pointer: str = "") -> Iterator[Place]:
    """Every subschema, each before its own parts."""
    yield Place(pointer, schema)
    if not isinstance(schema, dict):
        return
    for name, value in schema.items():
        inner = f"{pointer}/{escaped(name)}"
        if name in _SCHEMA_MAPPINGS and isinstance(value, dict):
            for key, part in value.items():
                yield from subschemas(part, f"{inner}/{escaped(key)}")
        elif name in _SCHEMA_LISTS and isinstance(value, list):
            for position, part in enumerate(value):
                yield from subschemas(part, f"{inner}/{position}")
        elif name in _SCHEMA and isinstance(value, dict | bool):
            yield from subschemas(value, inner)


def with_parts(schema: Mapping[str, JSON], change: Callable[[JSON], JSON]) -> dict[str, JSON]:
    """A copy of the schema in which each part, one level down, is what `change` makes of it."""
    copy = dict(schema)
    for name, value in schema.items():
        if name in _SCHEMA_MAPPINGS and isinstance(value, dict):
            copy[name] = {key: change(part) for key, part in value.items()}
        elif name in _SCHEMA_LISTS and isinstance(value, list):
            copy[name] = [change(part) for part in value]
        elif name in _SCHEMA and isinstance(value, dict | bool):
            copy[name] = change(value)
    return copy


def escaped(name: str) -> str:
    """A name as a step of a JSON pointer."""
    return name.replace("~", "~0").replace("/", "~1")


def _check_size(schema: JSON, param: str) -> None:
    seen = characters = 0
    rest: list[tuple[JSON, int]] = [(schema, 1)]
    while rest:
        value, depth = rest.pop()
        seen += 1
        characters += _characters(value)
        if seen > MAX_VALUES or depth > MAX_DEPTH or characters > MAX_CHARACTERS:
            raise InvalidRequestError(
                f"The JSON Schema in '{param}' is too large: at most {MAX_VALUES} values,"
                f" nested at most {MAX_DEPTH} deep, with {MAX_CHARACTERS} characters in names and"
                " texts.",
                param=param,
            )
        if isinstance(value, dict):
            rest += [(item, depth + 1) for item in value.values()]
        elif isinstance(value, list):
            rest += [(item, depth + 1) for item in value]


def _characters(value: JSON) -> int:
    if isinstance(value, str):
        return len(value)
    return sum(map(len, value)) if isinstance(value, dict) else 0


def _check_reference(place: Place, root: JSON, param: str) -> None:
    if not isinstance(place.schema, dict) or "$ref" not in place.schema:
        return
    reference = place.schema["$ref"]
    if not isinstance(reference, str) or resolved(reference, root) is None:
        raise refusal(place.pointer, f"the reference {reference!r} leads nowhere", param)


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


class _Finiteness:
    """Whether some finite value satisfies a schema: the least fixed point over its references."""

    def __init__(self, root: JSON, param: str) -> None:
        """Raises InvalidRequestError where that cannot be told in little time."""
        self._param = param
        self._seen = 0
        self._ending: set[str] = set()  # references known to be satisfied
        targets = {reference: resolved(reference, root) for reference in _references(root)}
        users: dict[str, set[str]] = {reference: set() for reference in targets}
        for user, target in targets.items():
            for used in _references(target):
                self._count()
                users[used].add(user)
        rest = set(targets)
        while new := {reference for reference in rest if self.can_end(targets[reference])}:
            self._ending |= new
            rest = {user for reference in new for user in users[reference]} - self._ending

    def _count(self) -> None:
        self._seen += 1
        if self._seen > MAX_STEPS:
            raise InvalidRequestError(
                f"The JSON Schema in '{self._param}' is too large: its references lead to too much"
                " of it, too often.",
                param=self._param,
            )

    def can_end(self, schema: JSON) -> bool:
        self._count()
        if not isinstance(schema, dict):
            return schema is not False
        return (
            ("$ref" not in schema or schema["$ref"] in self._ending)
            and all(map(self.can_end, _list(schema, "allOf")))
            and all(
                any(map(self.can_end, _list(schema, name)))
                for name in ("anyOf", "oneOf")
                if _list(schema, name)
            )
            and (schema.get("type") not in ("object", ["object"]) or self._object_ends(schema))
            and (schema.get("type") not in ("array", ["array"]) or self._array_ends(schema))
        )

    def _object_ends(self, schema: Mapping[str, JSON]) -> bool:
        names, properties = _list(schema, "required"), schema.get("properties")
        known = properties if isinstance(properties, dict) else {}
        others = schema.get("additionalProperties", True)
        named = dict.fromkeys(map(str, names))
        return all(self.can_end(known.get(name, others)) for name in named)

    def _array_ends(self, schema: Mapping[str, JSON]) -> bool:
        least = schema.get("minItems")
        if not isinstance(least, int) or least < 1:
            return True
        fixed = _list(schema, "prefixItems")[:least]
        return all(map(self.can_end, fixed)) and (
            len(fixed) >= least or self.can_end(schema.get("items", True))
        )


def _list(schema: Mapping[str, JSON], name: str) -> list[JSON]:
    value = schema.get(name)
    return value if isinstance(value, list) else []


def _references(schema: JSON) -> Iterator[str]:
    """Where the references of a schema and its parts lead."""
    for place in subschemas(schema):
        if isinstance(place.schema, dict) and isinstance(found := place.schema.get("$ref"), str):
            yield found


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
            elif name in _SCHEMA_MAPPINGS and isinstance(value, dict):
                copy[name] = {key: self._part(part, opened) for key, part in value.items()}
            elif name == "oneOf" and isinstance(value, list):
                self._copy_branches(value, opened, copy, schema)
            elif name in _SCHEMA_LISTS and isinstance(value, list):
                copy[name] = [self._part(part, opened) for part in value]
            else:
                copy[name] = self._part(value, opened) if name in _SCHEMA else value
        wanted = schema.get("format")
        if isinstance(wanted, str) and wanted in _BY_PATTERN:
            demand: JSON = {"pattern": f"^(?:{PATTERNS[wanted]})$"}
            copy["allOf"] = [*_list(copy, "allOf"), demand]
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
