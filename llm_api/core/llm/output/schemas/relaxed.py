"""The part of a JSON Schema that a grammar can enforce; the rest is checked afterwards.

Each keyword that cannot be enforced is dropped where it stands, and nothing around it. So every
value that is valid for a schema is valid for the relaxed one.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from llm_api.core.llm.output.schemas.places import escaped, mapping_at, with_parts
from llm_api.core.llm.types import JSON

UNENFORCED: Final = frozenset(
    {
        "not", "if", "then", "else", "uniqueItems", "propertyNames", "contains", "minContains",
        "maxContains", "dependentRequired", "dependentSchemas", "unevaluatedProperties",
        "unevaluatedItems", "$dynamicRef", "$recursiveRef",
    }
)  # fmt: skip
"""Keywords that the compiler never enforces, wherever they stand."""

_MAX_TRIALS: Final = 300
_MAX_SECONDS: Final = 1.0
"""Bounds on the trial compilations of one schema. Beyond them, any object is let through."""

_LAST: Final = (
    "items", "prefixItems", "anyOf", "allOf", "enum", "const", "additionalProperties", "$ref",
    "required", "properties", "type",
)  # fmt: skip
"""Keywords dropped last: they demand the most."""

_DEFINITIONS: Final = ("$defs", "definitions")
_KEPT: Final = frozenset({*_DEFINITIONS, "$schema", "title", "description", "default"})

_DEPENDING: Final[Mapping[str, str]] = {
    "properties": "additionalProperties",
    "patternProperties": "additionalProperties",
    "prefixItems": "items",
}
"""A keyword, and the one that applies to what it leaves over: both are dropped together."""

Refuses = Callable[[dict[str, JSON]], bool]
"""Whether a schema cannot be enforced as a whole."""

_Schema = dict[str, JSON]


class _TooManyTrialsError(Exception):
    """The bounds on trials are used up."""


def without_unenforced(schema: _Schema) -> _Schema:
    """The schema without UNENFORCED keywords."""

    def kept(part: JSON) -> JSON:
        if not isinstance(part, dict):
            return part
        return with_parts({key: of for key, of in part.items() if key not in UNENFORCED}, kept)

    return _as_open(schema, kept(schema))


def relaxed(schema: _Schema, refuses: Refuses) -> _Schema:
    """The schema without what cannot be enforced; the same object where all of it can.

    Every reference has to lead into its `$defs` or `definitions`.
    """
    if not refuses(schema):
        return schema
    plain = without_unenforced(schema)
    if not refuses(plain):
        return plain
    try:
        return _as_open(schema, _Relaxing(plain, refuses).whole())
    except _TooManyTrialsError:
        return {"type": "object"}


def _as_open(schema: _Schema, less: JSON) -> _Schema:
    """Keeps a schema that lost keywords open: a plain one is closed to other properties."""
    whole = less if isinstance(less, dict) else {}
    is_same = whole.keys() == schema.keys()
    return whole if is_same else {"type": "object", "additionalProperties": True, **whole}


@dataclass(slots=True)
class _Relaxing:
    """Descends to what is refused. Relaxes a definition at the first reference to it."""

    root: _Schema
    refuses: Refuses
    _ends_at: float = field(default_factory=lambda: time.monotonic() + _MAX_SECONDS)
    _met: set[str] = field(default_factory=set)
    _trials: int = 0

    def whole(self) -> _Schema:
        self.root = {**self._children(self.root), **self._definitions()}
        if not self._is_refused_whole(self.root):
            return self.root
        for less in self._less(self.root):
            whole = {**self._definitions(), **less}
            if not self._is_refused_whole(whole):
                return whole
        return {"type": "object"}

    def _part(self, schema: JSON) -> JSON:
        if not isinstance(schema, dict) or not self._is_refused(schema):
            return schema
        schema = self._children(schema)
        if not self._is_refused(schema):
            return schema
        return next((less for less in self._less(schema) if not self._is_refused(less)), True)

    def _children(self, schema: _Schema) -> _Schema:
        """The schema with its parts relaxed, and before them what it refers to."""
        self._meet(schema.get("$ref"))
        return with_parts(
            {key: value for key, value in schema.items() if key not in _DEFINITIONS}, self._part
        )

    def _meet(self, reference: JSON) -> None:
        if not isinstance(reference, str) or reference in self._met:
            return
        self._met.add(reference)
        _, _, place = reference.partition("#/")
        group, _, name = place.partition("/")
        for key, part in mapping_at(self.root, group).items():
            if escaped(key) == name:
                relaxed_part = self._part(part)
                self.root = {
                    **self.root,
                    group: {**mapping_at(self.root, group), key: relaxed_part},
                }

    def _definitions(self) -> _Schema:
        return {key: mapping_at(self.root, key) for key in _DEFINITIONS if key in self.root}

    def _less(self, schema: _Schema) -> Iterator[_Schema]:
        """Ever smaller schemas: first without one keyword, then without more and more of them."""
        if "oneOf" in schema:
            schema = _with_any_of(schema)
            yield schema
        names = sorted(
            (name for name in schema if name not in _KEPT),
            key=lambda name: _LAST.index(name) if name in _LAST else -1,
        )
        yield from (_without(schema, name) for name in names)
        for name in names:
            schema = _without(schema, name)
            yield schema

    def _is_refused(self, part: _Schema) -> bool:
        """Whether a part cannot be enforced. One that nothing satisfies can: it is left out."""
        optional: _Schema = {"type": "object", "properties": {"part": part}}
        return self._is_refused_whole({**optional, **self._definitions()})

    def _is_refused_whole(self, schema: _Schema) -> bool:
        self._trials += 1
        if self._trials > _MAX_TRIALS or time.monotonic() > self._ends_at:
            raise _TooManyTrialsError
        return self.refuses(schema)


def _without(schema: _Schema, name: str) -> _Schema:
    gone = (name, _DEPENDING.get(name))
    return {key: value for key, value in schema.items() if key not in gone}


def _with_any_of(schema: _Schema) -> _Schema:
    """A union of which more than one branch may hold."""
    rest = _without(schema, "oneOf")
    if "anyOf" not in rest:
        return {**rest, "anyOf": schema["oneOf"]}
    every = rest.get("allOf")
    union: JSON = {"anyOf": schema["oneOf"]}
    return {**rest, "allOf": [*every, union] if isinstance(every, list) else [union]}
