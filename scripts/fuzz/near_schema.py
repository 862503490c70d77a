"""JSON near a JSON Schema: mostly what it allows, now and then anything else in its place. Pure."""

from collections.abc import Mapping
from typing import Any, TypeAlias

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

Schema: TypeAlias = Mapping[str, Any]

ODD_ONE_IN = 12
"""How often a value is not the schema's."""
MAX_LENGTH = 4
"""Of texts, lists and objects where the schema asks for no more."""

_TEXTS = st.one_of(
    st.text(max_size=12),
    st.sampled_from(["", " ", "\x00", "\ud800", "../..", "a\nb", "%00", "🦙", "x" * 5000]),
)
_SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 3),
    st.sampled_from([2**31, 2**63, -(2**63) - 1, 10**400, 1e308, 5e-324, -0.0]),
    st.floats(),
    _TEXTS,
)
ANYTHING: SearchStrategy[Any] = st.recursive(
    _SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=MAX_LENGTH),
        st.dictionaries(_TEXTS, inner, max_size=MAX_LENGTH),
    ),
    max_leaves=8,
)


class NearSchema:
    """Strategies of one document of schemas. `given` are values by the name of their property."""

    def __init__(self, document: Schema, given: Mapping[str, SearchStrategy[Any]]) -> None:
        self._document = document
        self._given = given
        self._named: dict[str, SearchStrategy[Any]] = {}

    def values(self, schema: Schema) -> SearchStrategy[Any]:
        """JSON values near this schema, `$ref` into the document included."""
        reference = schema.get("$ref")
        if reference is None:
            return _now_and_then(self._allowed(schema))
        if reference not in self._named:
            # Deferred: a schema may hold itself.
            self._named[reference] = st.deferred(lambda: self.values(self._at(reference)))
        return self._named[reference]

    def _at(self, reference: str) -> Schema:
        place: Any = self._document
        for step in reference.removeprefix("#/").split("/"):
            place = place[step]
        found: Schema = place
        return found

    def _allowed(self, schema: Schema) -> SearchStrategy[Any]:
        for keyword in ("anyOf", "oneOf"):
            if keyword in schema:
                return st.one_of([self.values(option) for option in schema[keyword]])
        if "const" in schema:
            return st.just(schema["const"])
        if "enum" in schema:
            return st.sampled_from(schema["enum"])
        match schema.get("type"):
            case "object":
                return self._objects(schema)
            case "array":
                least = schema.get("minItems", 0)
                most = min(schema.get("maxItems", MAX_LENGTH), max(MAX_LENGTH, least))
                items = self.values(schema.get("items", {}))
                return st.lists(items, min_size=least, max_size=most)
            case kind:
                return _scalars(kind, schema)

    def _objects(self, schema: Schema) -> SearchStrategy[dict[str, Any]]:
        properties: Mapping[str, Schema] = schema.get("properties", {})
        if not properties:
            more = schema.get("additionalProperties", True)
            inner = self.values(more) if isinstance(more, dict) else ANYTHING
            return st.dictionaries(_TEXTS, inner, max_size=MAX_LENGTH)
        required = schema.get("required", [])
        optional = [name for name in properties if name not in required]

        @st.composite
        def objects(draw: DrawFn) -> dict[str, Any]:
            chosen = (
                draw(st.lists(st.sampled_from(optional), max_size=MAX_LENGTH, unique=True))
                if (optional)
                else []
            )
            names = [*required, *chosen]
            if draw(st.integers(1, ODD_ONE_IN)) == 1:
                names = names[1:]
            value = {name: draw(self._property(name, properties[name])) for name in names}
            if draw(st.integers(1, ODD_ONE_IN)) == 1:
                value[draw(_TEXTS)] = draw(ANYTHING)
            return value

        return objects()

    def _property(self, name: str, schema: Schema) -> SearchStrategy[Any]:
        return _now_and_then(self._given[name]) if name in self._given else self.values(schema)


def _now_and_then(allowed: SearchStrategy[Any]) -> SearchStrategy[Any]:
    """What is allowed, and one time in ODD_ONE_IN anything."""

    @st.composite
    def values(draw: DrawFn) -> Any:
        return draw(ANYTHING if draw(st.integers(1, ODD_ONE_IN)) == 1 else allowed)

    return values()


def _scalars(kind: object, schema: Schema) -> SearchStrategy[Any]:
    match kind:
        case "string":
            least = schema.get("minLength", 0)
            most = min(schema.get("maxLength", 40), max(40, least))
            return st.text(min_size=least, max_size=most)
        case "integer":
            return st.integers(int(schema.get("minimum", -9)), int(schema.get("maximum", 99)))
        case "number":
            return st.floats(schema.get("minimum"), schema.get("maximum"), allow_nan=False)
        case "boolean":
            return st.booleans()
        case "null":
            return st.none()
        case _:
            return ANYTHING
