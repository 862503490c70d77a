"""The JSON Schema of a Pydantic model, as a model of language should read it: without noise."""

from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema

_MAPS_OF_SCHEMAS = frozenset({"properties", "patternProperties", "$defs"})
_VALUES = frozenset({"default", "const", "enum", "examples"})


class _Generator(GenerateJsonSchema):
    # A default without JSON form is left out: the function itself still has it.
    ignored_warning_kinds = {"skipped-choice", "non-serializable-default"}  # noqa: RUF012 - theirs


def json_schema(model: type[BaseModel]) -> dict[str, Any]:
    """The schema of what validates as this model, without the titles that Pydantic makes up."""
    schema: dict[str, Any] = _without_titles(model.model_json_schema(schema_generator=_Generator))
    # The first keys are those a reader needs first.
    return {"type": "object", "properties": {}} | schema


def _without_titles(schema: Any) -> Any:
    """The same schema. A property that is called title, and values, keep theirs."""
    if isinstance(schema, list):
        return [_without_titles(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    tidy = {}
    for key, value in schema.items():
        if key in _MAPS_OF_SCHEMAS:
            tidy[key] = {name: _without_titles(inner) for name, inner in value.items()}
        elif key != "title":
            tidy[key] = value if key in _VALUES else _without_titles(value)
    return tidy
