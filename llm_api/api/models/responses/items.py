"""What a conversation is made of on `/v1/responses`, as a client sends it.

Items come back from earlier answers with whatever fields a client or another server gave them, so
unknown fields of an item are kept and mean nothing. Parameters of a request stay strict.
"""

from typing import Annotated, Any, Final, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Discriminator, Field, StringConstraints, Tag

from llm_api.api.models.base import MAX_FIELDS, at_most, text_or_list

MAX_ITEMS: Final = 4096
MAX_PARTS: Final = 1024

ItemId = Annotated[str, StringConstraints(min_length=1, max_length=256)]
CallId = Annotated[str, StringConstraints(min_length=1, max_length=256)]
CalledName = Annotated[str, StringConstraints(min_length=1, max_length=256)]


class ItemModel(BaseModel):
    """An item or a part of one; unknown fields are kept as they came."""

    model_config = ConfigDict(extra="allow", strict=True, allow_inf_nan=False, frozen=True)

    def to_wire(self) -> dict[str, Any]:
        """The very fields that the client sent."""
        return self.model_dump(exclude_unset=True)


class InputPart(ItemModel):
    """A part of a message, of a function's output, or of a reasoning item."""

    type: Literal[
        "input_text",
        "output_text",
        "text",
        "refusal",
        "summary_text",
        "reasoning_text",
        "input_image",
        "input_file",
    ]
    text: str | None = Field(default=None, description="Required in a part of text.")
    refusal: str | None = Field(default=None, description="Required in a refusal.")
    image_url: Any = Field(default=None, description="Refused: the models read text only.")
    filename: Annotated[str, StringConstraints(max_length=1024)] | None = Field(
        default=None, description="The file's name; its extension says what it is."
    )
    file_data: str | None = Field(
        default=None, description="A file in base64, or as a `data:` URL. Its text is read."
    )
    file_id: Annotated[str, StringConstraints(max_length=256)] | None = Field(
        default=None, description="A file of `/v1/files`, instead of `file_data`."
    )
    file_url: Any = Field(default=None, description="Refused: send `file_data`.")


Parts = Annotated[list[InputPart], Field(max_length=MAX_PARTS, fail_fast=True)]
Content = Annotated[
    Annotated[str, Tag("text")] | Annotated[Parts, Tag("list")],
    Discriminator(
        text_or_list,
        custom_error_type="invalid_type",
        custom_error_message="Input should be a string or a list of parts",
    ),
]


class MessageItem(ItemModel):
    """A turn. `developer` is read as `system`, wherever in the conversation it stands."""

    type: Literal["message"] = "message"
    id: ItemId | None = None
    role: Literal["user", "assistant", "system", "developer"]
    content: Content


class FunctionCallItem(ItemModel):
    """A call that the model has made. Broken arguments are passed on as they are."""

    type: Literal["function_call"]
    id: ItemId | None = None
    call_id: CallId
    name: CalledName
    namespace: CalledName | None = None
    arguments: str


class CustomToolCallItem(ItemModel):
    """A call of a custom tool, whose input is free text."""

    type: Literal["custom_tool_call"]
    id: ItemId | None = None
    call_id: CallId
    name: CalledName
    namespace: CalledName | None = None
    input: str


class CallOutputItem(ItemModel):
    """What came of a call. Without `call_id`, it was the client that called the tool `name`."""

    type: Literal["function_call_output", "custom_tool_call_output"]
    id: ItemId | None = None
    call_id: CallId | None = None
    name: CalledName | None = None
    namespace: CalledName | None = None
    output: Content


class ReasoningItem(ItemModel):
    """What the model thought. Without `content`, its `encrypted_content` or `summary` is read."""

    type: Literal["reasoning"]
    id: ItemId | None = None
    summary: Parts = []
    content: Parts | None = None
    encrypted_content: str | None = None


class ItemReference(ItemModel):
    """An item that this server has stored, by its id."""

    type: Literal["item_reference"] | None = None
    id: ItemId


class MCPListToolsItem(ItemModel):
    """What an MCP server offered; changes nothing: the request's `tools` say what there is."""

    type: Literal["mcp_list_tools"]
    id: ItemId | None = None
    server_label: CalledName


class MCPCallItem(ItemModel):
    """A call that the server made itself, with what came of it."""

    type: Literal["mcp_call"]
    id: ItemId
    server_label: CalledName
    name: CalledName
    arguments: str
    output: str | None = None
    error: Any = None
    approval_request_id: ItemId | None = None


class MCPApprovalRequestItem(ItemModel):
    """A call of an MCP server's tool that waits for leave."""

    type: Literal["mcp_approval_request"]
    id: ItemId
    server_label: CalledName
    name: CalledName
    arguments: str


class MCPApprovalResponseItem(ItemModel):
    """Leave to make a call, or a refusal."""

    type: Literal["mcp_approval_response"]
    id: ItemId | None = None
    approval_request_id: ItemId
    approve: bool
    reason: str | None = None


class FileSearchCallItem(ItemModel):
    """A search that the server made. Its `results`, where it has them, are shown to the model."""

    type: Literal["file_search_call"]
    id: ItemId | None = None
    queries: Annotated[list[str], Field(max_length=MAX_PARTS, fail_fast=True)] = []
    results: Annotated[list[dict[str, Any]], Field(max_length=MAX_PARTS)] | None = None


class UnknownItem(ItemModel):
    """An item that nobody here can read: refused by its type."""

    type: str
    id: ItemId | None = None


KnownItem: TypeAlias = (
    MessageItem
    | FunctionCallItem
    | CustomToolCallItem
    | CallOutputItem
    | ReasoningItem
    | ItemReference
    | MCPListToolsItem
    | MCPCallItem
    | MCPApprovalRequestItem
    | MCPApprovalResponseItem
    | FileSearchCallItem
    | UnknownItem
)

_TAGS: Final = frozenset(
    {
        "message",
        "function_call",
        "custom_tool_call",
        "function_call_output",
        "custom_tool_call_output",
        "reasoning",
        "item_reference",
        "mcp_list_tools",
        "mcp_call",
        "mcp_approval_request",
        "mcp_approval_response",
        "file_search_call",
    }
)


def _tag(value: Any) -> str | None:
    """An item without a type is a message, or a reference."""
    if isinstance(value, ItemModel):
        return str(getattr(value, "type", None) or "item_reference")
    if not isinstance(value, dict):
        return None
    kind = value.get("type")
    if kind is None:
        return "message" if "role" in value else "item_reference"
    if not isinstance(kind, str):
        return None
    return kind if kind in _TAGS else "unknown"


InputItem = Annotated[
    Annotated[MessageItem, Tag("message")]
    | Annotated[FunctionCallItem, Tag("function_call")]
    | Annotated[CustomToolCallItem, Tag("custom_tool_call")]
    | Annotated[CallOutputItem, Tag("function_call_output")]
    | Annotated[CallOutputItem, Tag("custom_tool_call_output")]
    | Annotated[ReasoningItem, Tag("reasoning")]
    | Annotated[ItemReference, Tag("item_reference")]
    | Annotated[MCPListToolsItem, Tag("mcp_list_tools")]
    | Annotated[MCPCallItem, Tag("mcp_call")]
    | Annotated[MCPApprovalRequestItem, Tag("mcp_approval_request")]
    | Annotated[MCPApprovalResponseItem, Tag("mcp_approval_response")]
    | Annotated[FileSearchCallItem, Tag("file_search_call")]
    | Annotated[UnknownItem, Tag("unknown")],
    Discriminator(
        _tag,
        custom_error_type="invalid_type",
        custom_error_message="Input should be an item: an object with a type",
    ),
    at_most(MAX_FIELDS),
]

InputItems = Annotated[list[InputItem], Field(max_length=MAX_ITEMS, fail_fast=True)]
Input = Annotated[
    Annotated[str, Tag("text")] | Annotated[InputItems, Tag("list")],
    Discriminator(
        text_or_list,
        custom_error_type="invalid_type",
        custom_error_message="Input should be a string or a list of items",
    ),
]
