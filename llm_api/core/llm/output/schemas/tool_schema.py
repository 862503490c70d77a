"""The schema that a call's arguments must follow, and refusals that name the function."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Final

from llm_api.core.errors import InvalidRequestError
from llm_api.core.llm.output.schemas.places import mapping_at
from llm_api.core.llm.output.schemas.sound import check_schema_size, sound
from llm_api.core.llm.output.schemas.tidy import tidy
from llm_api.core.llm.types import JSON, GenerationRequest, JSONFormat, ToolSpec

_PLAIN: Final = frozenset(
    {"type", "properties", "required", "title", "description", "$schema", "$defs", "definitions"}
)


def argument_schema(tool: ToolSpec) -> Mapping[str, JSON]:
    """The schema of a call's arguments: an object with the declared parameters. Pure.

    What a plain schema leaves open is closed: a model must not invent parameters. So a function
    without any takes `{}`.
    """
    schema = tool.schema
    declared = mapping_at(schema, "properties")
    required = schema.get("required", [])
    is_satisfiable = isinstance(required, list) and all(name in declared for name in required)
    if schema.keys() <= _PLAIN and is_satisfiable:
        return {**schema, "additionalProperties": False}
    return schema


def whole_schema(tool: ToolSpec) -> dict[str, JSON]:
    """All that a tool demands of its arguments, tidied.

    Raises InvalidRequestError where that is too large, or a reference leads nowhere.
    """
    given = replace(tool, parameters=tidy(tool.parameters, tool.param))
    return sound(argument_schema(given), tool.param)


@contextmanager
def naming(tool: ToolSpec) -> Iterator[None]:
    """A block whose refusals name the function, since a pointer alone does not tell which."""
    try:
        yield
    except InvalidRequestError as error:
        raise InvalidRequestError(
            f"The function '{tool.name}': {error.message}", param=error.param
        ) from error


def check_demanded_sizes(request: GenerationRequest) -> None:
    """Raises InvalidRequestError for a schema that is too large, of the answer or of a tool.

    For before the prompt is written, which tells the model all of them.
    """
    if isinstance(request.output_format, JSONFormat):
        check_schema_size(dict(request.output_format.schema), request.output_format.param)
    for tool in request.callable_tools:
        with naming(tool):
            check_schema_size(dict(tool.parameters), tool.param)
