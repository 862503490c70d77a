"""Bounds on a JSON Schema, checked before anything is made of it. Pure.

Covers: its size, references that lead nowhere, and schemas that no finite value satisfies. Does not
cover: keywords that cannot be enforced, which the grammar compiler refuses.
"""

from collections.abc import Iterator, Mapping
from typing import Final

from llm_api.core.errors import InvalidRequestError
from llm_api.core.llm.output.schemas.places import (
    Subschema,
    list_at,
    mapping_at,
    refusal,
    resolved,
    subschemas,
)
from llm_api.core.llm.types import JSON

MAX_VALUES: Final = 10_000
MAX_DEPTH: Final = 64
MAX_CHARACTERS: Final = 128 * 1024
"""Of all names and texts in a schema together."""
MAX_STEPS: Final = 200_000
"""Subschemas visited to find out whether a finite value satisfies a schema: a tenth of a second."""


def sound(schema: Mapping[str, JSON], param: str) -> dict[str, JSON]:
    """The schema without compiler options.

    Raises InvalidRequestError where it is too large, or a reference leads nowhere.
    """
    root = {name: value for name, value in schema.items() if name != "x-guidance"}
    check_schema_size(root, param)
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


def check_schema_size(schema: JSON, param: str) -> None:
    """Raises InvalidRequestError for one that is too large. Takes a few milliseconds at most."""
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


def _check_reference(place: Subschema, root: JSON, param: str) -> None:
    if not isinstance(place.schema, dict) or "$ref" not in place.schema:
        return
    reference = place.schema["$ref"]
    if not isinstance(reference, str) or resolved(reference, root) is None:
        raise refusal(place.pointer, f"the reference {reference!r} leads nowhere", param)


class _Finiteness:
    """Whether some finite value satisfies a schema: the least fixed point over its references."""

    def __init__(self, root: JSON, param: str) -> None:
        """Raises InvalidRequestError where MAX_STEPS do not suffice to find out."""
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
            and all(map(self.can_end, list_at(schema, "allOf")))
            and all(
                any(map(self.can_end, list_at(schema, name)))
                for name in ("anyOf", "oneOf")
                if list_at(schema, name)
            )
            and (schema.get("type") not in ("object", ["object"]) or self._object_ends(schema))
            and (schema.get("type") not in ("array", ["array"]) or self._array_ends(schema))
        )

    def _object_ends(self, schema: Mapping[str, JSON]) -> bool:
        names, known = list_at(schema, "required"), mapping_at(schema, "properties")
        others = schema.get("additionalProperties", True)
        named = dict.fromkeys(map(str, names))
        return all(self.can_end(known.get(name, others)) for name in named)

    def _array_ends(self, schema: Mapping[str, JSON]) -> bool:
        least = schema.get("minItems")
        if not isinstance(least, int) or least < 1:
            return True
        fixed = list_at(schema, "prefixItems")[:least]
        return all(map(self.can_end, fixed)) and (
            len(fixed) >= least or self.can_end(schema.get("items", True))
        )


def _references(schema: JSON) -> Iterator[str]:
    """Where the references of a schema and its parts lead."""
    for place in subschemas(schema):
        if isinstance(place.schema, dict) and isinstance(found := place.schema.get("$ref"), str):
            yield found
