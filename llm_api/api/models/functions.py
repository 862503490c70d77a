"""The functions resource: what this server can run, and one run of it."""

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, JsonValue

from llm_api.api.models.base import AnswerModel, RequestModel, at_most_nested
from llm_api.core.functions.types import OriginKind

MAX_ARGUMENT_VALUES = 4096


class FunctionOrigin(AnswerModel):
    """Who brought a function."""

    type: OriginKind = Field(description="`program`: registered by what started the server.")
    name: str = Field(
        description="A file's, a distribution's, a module's or an MCP server's.",
        examples=["dates.py"],
    )


class Function(AnswerModel):
    """One function."""

    name: str = Field(examples=["get_weekday"])
    description: str = Field(description="What its docstring says.")
    parameters: dict[str, Any] = Field(description="A JSON Schema of the arguments.")
    origin: FunctionOrigin


class FunctionProblem(AnswerModel):
    """Something that should have brought functions, and did not."""

    origin: FunctionOrigin
    message: str = Field(
        description="One line.", examples=["tips.py: SyntaxError: invalid syntax (tips.py, line 3)"]
    )


class FunctionList(AnswerModel):
    """Every function of this server."""

    object: Literal["list"]
    data: list[Function]
    problems: list[FunctionProblem]


class FunctionArguments(RequestModel):
    """The arguments of one call."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"arguments": {"date": "2026-02-14"}}]}
    )

    arguments: Annotated[dict[str, JsonValue], at_most_nested(MAX_ARGUMENT_VALUES)] = Field(
        default={}, description="By the names of the function's parameters."
    )


class FunctionFailure(AnswerModel):
    """Why a call gave no result."""

    code: str = Field(
        description="`function_failed`, `function_timeout` or `function_result_invalid`."
    )
    message: str = Field(description="One line, without paths.")


class FunctionAnswer(AnswerModel):
    """What came back of one call."""

    name: str
    result: JsonValue = Field(description="What the function returned; null for an error.")
    is_error: bool
    error: FunctionFailure | None = Field(description="Null for a result.")
    duration_seconds: float
