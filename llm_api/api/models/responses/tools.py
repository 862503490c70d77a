"""Tools that the model may call on `/v1/responses`, and the choice among them."""

from typing import Annotated, Any, Final, Literal, TypeAlias

from pydantic import ConfigDict, Discriminator, Field, StringConstraints, Tag

from llm_api.api.models import foreign
from llm_api.api.models.base import MAX_FIELDS, RequestModel, at_most, at_most_nested
from llm_api.api.models.file_search import FileSearchTool
from llm_api.api.models.tools import MAX_TOOLS, FunctionName, Schema

Label = Annotated[str, StringConstraints(min_length=1, max_length=64)]
Grammar = Annotated[str, StringConstraints(min_length=1, max_length=65_536)]
_Whatever = Annotated[dict[str, Any], at_most_nested(10_000)]

HOSTED: Final = frozenset(
    {
        "apply_patch",
        "code_interpreter",
        "computer",
        "computer_use",
        "computer_use_preview",
        "image_generation",
        "local_shell",
        "programmatic_tool_calling",
        "shell",
        "tool_search",
        "web_search",
        "web_search_2025_08_26",
        "web_search_preview",
        "web_search_preview_2025_03_11",
    }
)
"""Tools that OpenAI's servers run and this one does not, by their types."""


class NestedFunction(RequestModel):
    """A function as chat completions declare it, inside of a tool."""

    name: FunctionName
    description: str | None = None
    parameters: Schema | None = None
    strict: bool | None = None


class FunctionTool(RequestModel):
    """A function that the client runs, flat or with all of it in `function`."""

    IGNORED = foreign.MARKS

    type: Literal["function"]
    name: FunctionName | None = Field(default=None, description="Required, here or nested.")
    description: str | None = None
    parameters: Schema | None = Field(default=None, description="Absent: no parameters.")
    strict: bool | None = Field(
        default=None, description="Refuse a schema that cannot be enforced as a whole."
    )
    function: NestedFunction | None = Field(default=None, description="The nested shape.")
    output_schema: _Whatever | None = Field(default=None, description="Changes nothing.")
    defer_loading: bool | None = Field(default=None, description="Changes nothing.")
    allowed_callers: list[Any] | None = Field(default=None, description="Changes nothing.")


class CustomFormat(RequestModel):
    """What the input of a custom tool looks like. With `grammar`, it is held to it."""

    type: Literal["text", "grammar"]
    syntax: Literal["lark", "regex"] | None = None
    definition: Grammar | None = None


class CustomTool(RequestModel):
    """A tool whose input is free text, or a sentence of a grammar."""

    type: Literal["custom"]
    name: FunctionName
    description: str | None = None
    format: CustomFormat | None = None
    defer_loading: bool | None = Field(default=None, description="Changes nothing.")
    allowed_callers: list[Any] | None = Field(default=None, description="Changes nothing.")


NamespacedTool = Annotated[
    Annotated[FunctionTool, Tag("function")] | Annotated[CustomTool, Tag("custom")],
    Field(discriminator="type"),
]


class NamespaceTool(RequestModel):
    """Tools under a common name, as Codex brings those of its MCP servers."""

    type: Literal["namespace"]
    name: FunctionName
    description: str | None = None
    tools: Annotated[list[NamespacedTool], Field(max_length=MAX_TOOLS, fail_fast=True)]


class ToolFilter(RequestModel):
    """Some of a server's tools."""

    tool_names: Annotated[list[str], Field(max_length=MAX_TOOLS, fail_fast=True)] | None = None
    read_only: bool | None = None


class ApprovalFilter(RequestModel):
    """Which of a server's tools wait for leave, and which do not."""

    always: ToolFilter | None = None
    never: ToolFilter | None = None


class MCPTool(RequestModel):
    """The tools of an MCP server, which this server calls."""

    type: Literal["mcp"]
    server_label: Label
    server_url: Annotated[str, StringConstraints(max_length=2048)] | None = None
    server_description: str | None = None
    authorization: str | None = None
    headers: Annotated[dict[str, str], at_most(64)] | None = None
    allowed_tools: list[str] | ToolFilter | None = None
    require_approval: Literal["always", "never"] | ApprovalFilter | None = None
    connector_id: Any = None
    tunnel_id: Any = None
    defer_loading: bool | None = None
    allowed_callers: list[Any] | None = None


class ServerFunctionTool(RequestModel):
    """Extension. A function of `GET /v1/functions`, which this server runs."""

    type: Literal["llm_api"]
    name: FunctionName


class HostedTool(RequestModel):
    """A tool that OpenAI runs: not offered to the model, and named in `x-ignored-tools`."""

    model_config = ConfigDict(extra="allow")

    type: str


_OWN: Final = frozenset({"function", "custom", "namespace", "mcp", "file_search", "llm_api"})


def _tool_tag(value: Any) -> str | None:
    kind = value.get("type") if isinstance(value, dict) else getattr(value, "type", None)
    if not isinstance(kind, str):
        return None
    return kind if kind in _OWN else "hosted"


Tool = Annotated[
    Annotated[FunctionTool, Tag("function")]
    | Annotated[CustomTool, Tag("custom")]
    | Annotated[NamespaceTool, Tag("namespace")]
    | Annotated[MCPTool, Tag("mcp")]
    | Annotated[FileSearchTool, Tag("file_search")]
    | Annotated[ServerFunctionTool, Tag("llm_api")]
    | Annotated[HostedTool, Tag("hosted")],
    Discriminator(
        _tool_tag,
        custom_error_type="invalid_type",
        custom_error_message="Input should be a tool: an object with a type",
    ),
    at_most(MAX_FIELDS),
]
Tools = Annotated[list[Tool], Field(max_length=MAX_TOOLS, fail_fast=True)]


class NamedTool(RequestModel):
    """A tool by its type and name; `function` is the nested shape."""

    model_config = ConfigDict(extra="allow")

    type: str
    name: str | None = None
    namespace: str | None = None
    server_label: str | None = None
    function: "NamedTool | None" = None


class ChosenTool(NamedTool):
    """One tool, or a choice among some of them."""

    mode: Literal["auto", "required"] | None = None
    tools: (
        Annotated[list[NamedTool], Field(min_length=1, max_length=MAX_TOOLS, fail_fast=True)] | None
    ) = None


def _word_or_object(value: Any) -> str | None:
    if isinstance(value, str):
        return "word"
    return "object" if isinstance(value, dict | ChosenTool) else None


WireToolChoice: TypeAlias = Annotated[
    Annotated[Literal["none", "auto", "required"], Tag("word")]
    | Annotated[ChosenTool, Tag("object")],
    Discriminator(
        _word_or_object,
        custom_error_type="invalid_type",
        custom_error_message="Input should be 'none', 'auto', 'required' or an object",
    ),
]
