"""A tool as it is to be enforced, and what judges its calls where not all of it can be. Blocks."""

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

from llm_api.core.errors import InvalidRequestError
from llm_api.core.llm.output.schemas.arguments import argument_schema
from llm_api.core.llm.output.schemas.json_schema import checked
from llm_api.core.llm.output.schemas.relaxed import relaxed
from llm_api.core.llm.output.schemas.tool_schema import naming, whole_schema
from llm_api.core.llm.types import JSON, ToolSpec

if TYPE_CHECKING:
    from llm_api.core.llm.output.checking.call_check import CallRules


class SchemaCompiler(Protocol):
    """Tells what of a schema cannot be enforced."""

    def check_schema(self, schema: Mapping[str, JSON], param: str) -> None:
        """Raises InvalidRequestError for the deepest part that cannot be enforced."""
        ...

    def why_refused(self, schema: JSON) -> str:
        """Why a schema as a whole cannot be enforced; "" where it can."""
        ...


def enforceable(tool: ToolSpec, compiler: SchemaCompiler) -> tuple[ToolSpec, "CallRules | None"]:
    """The tool with parameters that can be enforced, and what judges its calls by the others.

    None where nothing is left to judge. Raises InvalidRequestError, which names the function: for a
    malformed schema, one that is too large, and of a strict tool one that cannot be enforced.
    """
    with naming(tool):
        return _strict(tool, compiler) if tool.is_strict else _lenient(tool, compiler)


def _strict(tool: ToolSpec, compiler: SchemaCompiler) -> tuple[ToolSpec, None]:
    schema = checked(argument_schema(tool), tool.param)
    compiler.check_schema(schema, tool.param)
    return replace(tool, parameters=schema), None


def _lenient(tool: ToolSpec, compiler: SchemaCompiler) -> tuple[ToolSpec, "CallRules | None"]:
    whole = whole_schema(tool)

    def refuses(schema: dict[str, JSON]) -> bool:
        try:
            return bool(compiler.why_refused(checked(schema, tool.param)))
        except InvalidRequestError:
            return True

    held = relaxed(whole, refuses)
    enforced = replace(tool, parameters=checked(held, tool.param))
    return enforced, None if held is whole else _rules(whole, tool.param)


def _rules(schema: Mapping[str, JSON], param: str) -> "CallRules":
    # The validator's libraries take a tenth of a second to import: only for those who use them.
    from llm_api.core.llm.output.checking.call_check import CallRules  # noqa: PLC0415
    from llm_api.core.llm.output.checking.json_validator import JSONValidator  # noqa: PLC0415

    return CallRules(JSONValidator(schema, param, is_lenient=True))
