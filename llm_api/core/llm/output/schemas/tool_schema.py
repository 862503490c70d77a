"""The schema that a call's arguments have to follow, and refusals that name the function."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from llm_api.core.errors import InvalidRequestError
from llm_api.core.llm.output.schemas.arguments import argument_schema
from llm_api.core.llm.output.schemas.json_schema import sound
from llm_api.core.llm.output.schemas.tidy import tidy
from llm_api.core.llm.types import JSON, ToolSpec


def whole_schema(tool: ToolSpec) -> dict[str, JSON]:
    """All that a tool demands of its arguments, in plain words.

    Raises InvalidRequestError where it is too large, or refers to nothing.
    """
    given = replace(tool, parameters=tidy(tool.parameters, tool.param))
    return sound(argument_schema(given), tool.param)


@contextmanager
def naming(tool: ToolSpec) -> Iterator[None]:
    """Whatever is refused in the block names the function: a position may be nobody's."""
    try:
        yield
    except InvalidRequestError as error:
        raise InvalidRequestError(
            f"The function '{tool.name}': {error.message}", param=error.param
        ) from error
