"""Which parts of a value a schema has judged, and so which `unevaluated...` applies to. Pure."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from llm_api.core.llm.output.schemas.places import list_at, mapping_at, resolved
from llm_api.core.llm.types import JSON

Part: TypeAlias = str | int
"""A property's name, or an item's index."""


@dataclass(frozen=True, slots=True)
class Evaluation:
    """One value and its judges. `check_time` is called at every step, and may raise."""

    root: JSON
    value: dict[str, JSON] | list[JSON]
    is_valid: Callable[[JSON, JSON], bool]
    """Whether a schema, the first, holds of a value."""
    is_found: Callable[[str, str], bool]
    check_time: Callable[[], object]

    def left_over(self, schema: Mapping[str, JSON]) -> list[Part]:
        """The parts that `schema` judges neither itself nor through what it applies in place."""
        judged = self._own(schema) | self._others(schema)
        return [part for part in self._parts() if part not in judged]

    def _parts(self) -> list[Part]:
        return [*self.value] if isinstance(self.value, dict) else [*range(len(self.value))]

    def _judged(self, schema: JSON) -> set[Part]:
        if not isinstance(schema, dict):
            return set()
        rest = "unevaluatedProperties" if isinstance(self.value, dict) else "unevaluatedItems"
        return set(self._parts()) if rest in schema else self._own(schema) | self._others(schema)

    def _own(self, schema: Mapping[str, JSON]) -> set[Part]:
        self.check_time()
        if isinstance(self.value, list):
            return self._own_items(schema, self.value)
        if "additionalProperties" in schema:
            return set(self.value)
        declared, patterns = (
            mapping_at(schema, "properties"),
            mapping_at(schema, "patternProperties"),
        )
        return {
            name
            for name in self.value
            if name in declared or any(self.is_found(pattern, name) for pattern in patterns)
        }

    def _own_items(self, schema: Mapping[str, JSON], items: list[JSON]) -> set[Part]:
        if "items" in schema:
            return {*range(len(items))}
        judged: set[Part] = {*range(len(list_at(schema, "prefixItems")))}
        if "contains" in schema:
            wanted = schema["contains"]
            judged |= {index for index, item in enumerate(items) if self.is_valid(wanted, item)}
        return judged

    def _others(self, schema: Mapping[str, JSON]) -> set[Part]:
        return {part for applied in self._applied(schema) for part in self._judged(applied)}

    def _applied(self, schema: Mapping[str, JSON]) -> Iterator[JSON]:
        """The schemas that are applied to the same value, and hold."""
        if isinstance(reference := schema.get("$ref"), str):
            yield resolved(reference, self.root)
        for name in ("allOf", "anyOf", "oneOf"):
            yield from (one for one in list_at(schema, name) if self.is_valid(one, self.value))
        if "if" in schema:
            holds = self.is_valid(schema["if"], self.value)
            if holds:
                yield schema["if"]
            yield schema.get("then" if holds else "else")
        for name, dependent in mapping_at(schema, "dependentSchemas").items():
            if name in self.value:
                yield dependent
