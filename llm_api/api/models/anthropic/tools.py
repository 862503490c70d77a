"""Tools that the model may call on `/v1/messages`, and the choice among them."""

from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal

from pydantic import ConfigDict, Discriminator, Field, JsonValue, Tag

from llm_api.api.ignored import Foreign
from llm_api.api.models import foreign
from llm_api.api.models.base import MAX_FIELDS, RequestModel, at_most
from llm_api.api.models.file_search import FileSearchTool
from llm_api.api.models.tools import FunctionName, Schema

MAX_TOOLS: Final = 256

_HINTS: Final[Mapping[str, Foreign]] = {
    **foreign.MARKS,
    "eager_input_streaming": Foreign("arguments are streamed as they come"),
    "defer_loading": Foreign("every tool is shown", (False,)),
    "input_examples": Foreign("the schema says it all"),
    "allowed_callers": Foreign("only the model calls"),
}


class CustomTool(RequestModel):
    """A function that the client runs."""

    IGNORED = _HINTS

    type: Literal["custom"] | None = None
    name: FunctionName
    description: str | None = None
    input_schema: Schema
    strict: bool | None = Field(
        default=None, description="Refuse a schema that cannot be enforced as a whole."
    )


class SearchTool(FileSearchTool):
    """Extension. A search of stored documents, which this server makes."""

    IGNORED = _HINTS

    name: Literal["file_search"] | None = None


class NamedTool(RequestModel):
    """A tool that Anthropic has defined, by its type.

    Those that the client runs are offered with the schema that they are known by. Those that run
    on Anthropic's servers are not offered, and named in `x-ignored-tools`.
    """

    model_config = ConfigDict(extra="allow")

    type: str
    name: FunctionName | None = None


def _tool_tag(value: Any) -> str:
    kind = value.get("type") if isinstance(value, dict) else getattr(value, "type", None)
    if kind == "file_search":
        return "search"
    return "custom" if kind in (None, "custom") else "named"


Tool = Annotated[
    Annotated[CustomTool, Tag("custom")]
    | Annotated[SearchTool, Tag("search")]
    | Annotated[NamedTool, Tag("named")],
    Discriminator(_tool_tag),
    at_most(MAX_FIELDS),
]
Tools = Annotated[list[Tool], Field(max_length=MAX_TOOLS, fail_fast=True)]


class WireToolChoice(RequestModel):
    """`any`: some call; `tool`: a call of the tool `name`."""

    type: Literal["auto", "any", "tool", "none"]
    name: FunctionName | None = Field(default=None, description="Required with `tool`.")
    disable_parallel_tool_use: bool | None = Field(
        default=None, description="`true`: at most one call."
    )


def _object(properties: dict[str, JsonValue], *required: str) -> dict[str, JsonValue]:
    return {"type": "object", "properties": properties, "required": list(required)}


_TEXT: Final[JsonValue] = {"type": "string"}
_NUMBER: Final[JsonValue] = {"type": "integer"}
_RANGE: Final[JsonValue] = {"type": "array", "items": _NUMBER, "minItems": 2, "maxItems": 2}


def _command(*commands: str) -> JsonValue:
    return {"type": "string", "enum": list(commands)}


KNOWN_CLIENT_TOOLS: Final[Mapping[str, tuple[str, dict[str, JsonValue]]]] = {
    "bash": (
        "Run a command in a shell that lives on between calls; or restart that shell.",
        _object({"command": _TEXT, "restart": {"type": "boolean"}}),
    ),
    "text_editor": (
        (
            "View, create and edit files: `view`, `create` with `file_text`, `str_replace` the one"
            " place of `old_str` by `new_str`, `insert` `insert_text` behind line `insert_line`."
        ),
        _object(
            {
                "command": _command("view", "create", "str_replace", "insert"),
                "path": _TEXT,
                "file_text": _TEXT,
                "old_str": _TEXT,
                "new_str": _TEXT,
                "insert_line": _NUMBER,
                "insert_text": _TEXT,
                "view_range": _RANGE,
            },
            "command",
            "path",
        ),
    ),
    "memory": (
        "Keep notes in files below `/memories`, and read them again.",
        _object(
            {
                "command": _command("view", "create", "str_replace", "insert", "delete", "rename"),
                "path": _TEXT,
                "file_text": _TEXT,
                "old_str": _TEXT,
                "new_str": _TEXT,
                "insert_line": _NUMBER,
                "insert_text": _TEXT,
                "view_range": _RANGE,
                "old_path": _TEXT,
                "new_path": _TEXT,
            },
            "command",
        ),
    ),
}
"""Tools whose schema Anthropic has trained into its models: what they do, and their arguments.

By their types without the date. Clients execute them.
"""
