"""Functions the model may call: declared and chosen in chat requests, called in answers."""

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, JsonValue, StringConstraints, Tag

from llm_api.api.models import foreign
from llm_api.api.models.base import AnswerModel, RequestModel, at_most_nested, text_or_list
from llm_api.api.models.generation import NotAvailable

MAX_TOOLS = 128
MAX_CALLS = 128

FunctionName = Annotated[str, StringConstraints(pattern=r"^[a-zA-Z0-9_-]{1,64}$")]
Schema = Annotated[dict[str, JsonValue], at_most_nested(10_000)]


class FunctionDefinition(RequestModel):
    """A function: what it is called, what it does, and the JSON Schema of its arguments."""

    IGNORED = foreign.TOOL

    name: FunctionName
    description: str | None = None
    parameters: Schema | None = Field(default=None, description="Absent: no parameters.")
    strict: bool | None = Field(
        default=None,
        description=(
            "Refuse a schema that cannot be enforced as a whole. Without it, the rest is checked"
            " when a call is written, and the header `x-llm-api-unenforced` names the functions of"
            " which no call was valid."
        ),
    )


class Tool(RequestModel):
    """A tool. Only functions can be called."""

    IGNORED = foreign.TOOL

    type: Literal["function", "custom"]
    function: FunctionDefinition | None = Field(default=None, description="Required.")
    custom: NotAvailable = None


class FunctionReference(RequestModel):
    name: FunctionName


class ToolReference(RequestModel):
    type: Literal["function", "custom"]
    function: FunctionReference | None = None
    custom: NotAvailable = None


class AllowedTools(RequestModel):
    mode: Literal["auto", "required"]
    tools: Annotated[list[ToolReference], Field(fail_fast=True)] = Field(
        min_length=1, max_length=MAX_TOOLS
    )


class ToolSelection(RequestModel):
    """One named function, or a choice among some of the tools."""

    type: Literal["function", "allowed_tools", "custom"]
    function: FunctionReference | None = None
    allowed_tools: AllowedTools | None = None
    custom: NotAvailable = None


def _word_or_object(value: Any) -> str | None:
    if isinstance(value, str):
        return "word"
    return "object" if isinstance(value, dict) else None


WireToolChoice = Annotated[
    Annotated[Literal["none", "auto", "required"], Tag("word")]
    | Annotated[ToolSelection, Tag("object")],
    Discriminator(
        _word_or_object,
        custom_error_type="invalid_type",
        custom_error_message="Input should be 'none', 'auto', 'required' or an object",
    ),
]

FunctionChoice = Annotated[
    Annotated[Literal["none", "auto"], Tag("word")] | Annotated[FunctionReference, Tag("object")],
    Discriminator(
        _word_or_object,
        custom_error_type="invalid_type",
        custom_error_message="Input should be 'none', 'auto' or an object",
    ),
]


ServerTools = Annotated[
    Annotated[Literal["all"], Tag("text")]
    | Annotated[list[FunctionName], Field(max_length=MAX_TOOLS, fail_fast=True), Tag("list")],
    Discriminator(
        text_or_list,
        custom_error_type="invalid_type",
        custom_error_message="Input should be 'all' or a list of function names",
    ),
]


class PastFunctionCall(RequestModel):
    """A call in the history. Broken arguments are passed on as they are."""

    IGNORED = foreign.MESSAGE

    name: Annotated[str, StringConstraints(min_length=1, max_length=256)]
    arguments: str


class PastToolCall(RequestModel):
    IGNORED = foreign.MESSAGE

    id: Annotated[str, StringConstraints(max_length=256)]
    type: Literal["function", "custom"] = "function"
    function: PastFunctionCall | None = None
    custom: NotAvailable = None
    index: int | None = Field(default=None, description="Accepted; some clients send it back.")


class FunctionCall(AnswerModel):
    name: str
    arguments: str = Field(description="JSON text, valid for the function's schema.")


class ToolCall(AnswerModel):
    """A call that the client is asked to make."""

    id: str
    type: Literal["function"]
    function: FunctionCall


class FunctionCallDelta(AnswerModel):
    name: str = ""
    arguments: str = ""


class ToolCallDelta(AnswerModel):
    """Part of a call: `id`, `type` and name in the first one alone, pieces of arguments then."""

    index: int
    id: str = ""
    type: Literal["function"] = "function"
    function: FunctionCallDelta
