"""Content blocks that a client of `/v1/messages` sends: what it asks, and earlier answers."""

from typing import Annotated, Any, Final, Literal, TypeAlias

from pydantic import ConfigDict, Discriminator, Field, JsonValue, StringConstraints, Tag

from llm_api.api.models import foreign
from llm_api.api.models.base import MAX_FIELDS, RequestModel, at_most, at_most_nested, text_or_list
from llm_api.api.models.generation import NotAvailable

MAX_BLOCKS: Final = 4096

CallId = Annotated[str, StringConstraints(min_length=1, max_length=256)]
Whatever = Annotated[JsonValue, at_most_nested(100_000)]


class CitedPlace(RequestModel):
    """Where an earlier answer took its words from, as it was told."""

    model_config = ConfigDict(extra="allow")

    type: str
    document_index: int | None = None
    search_result_index: int | None = None
    start_char_index: int | None = None
    end_char_index: int | None = None
    start_page_number: int | None = None
    end_page_number: int | None = None
    start_block_index: int | None = None
    end_block_index: int | None = None


class TextBlock(RequestModel):
    IGNORED = foreign.MARKS

    type: Literal["text"]
    text: str
    citations: Annotated[list[CitedPlace], Field(max_length=MAX_BLOCKS, fail_fast=True)] | None = (
        Field(default=None, description="Of an earlier answer.")
    )


class ThinkingBlock(RequestModel):
    """A thought of an earlier answer. The model is shown it again if the signature is ours."""

    IGNORED = foreign.MARKS

    type: Literal["thinking"]
    thinking: str
    signature: str = ""


class RedactedThinkingBlock(RequestModel):
    IGNORED = foreign.MARKS

    type: Literal["redacted_thinking"]
    data: str


class ToolUseBlock(RequestModel):
    """A call that an earlier answer asked for, or that a server made in it."""

    IGNORED = foreign.MARKS

    type: Literal["tool_use", "server_tool_use", "mcp_tool_use"]
    id: CallId
    name: Annotated[str, StringConstraints(min_length=1, max_length=256)]
    input: Whatever = Field(default=None, description="An object.")
    server_name: str | None = Field(default=None, description="In `mcp_tool_use`.")


class CitationsEnabled(RequestModel):
    enabled: bool | None = None


class TextSource(RequestModel):
    type: Literal["text"]
    media_type: Literal["text/plain"] | None = None
    data: str


class Base64Source(RequestModel):
    type: Literal["base64"]
    media_type: str
    data: str


class ContentSource(RequestModel):
    """Text in blocks of the client's own, which are cited whole."""

    type: Literal["content"]
    content: "Annotated[str, Tag('text')] | Annotated[list[AnyBlock], Tag('list')]" = Field(
        discriminator=Discriminator(text_or_list)
    )


class FileSource(RequestModel):
    """A file of `/v1/files`."""

    type: Literal["file"]
    file_id: Annotated[str, StringConstraints(max_length=256)]


class OtherSource(RequestModel):
    """A source that lies elsewhere: refused, as nothing is fetched."""

    model_config = ConfigDict(extra="allow")

    type: str


def _source_tag(value: Any) -> str | None:
    kind = value.get("type") if isinstance(value, dict) else getattr(value, "type", None)
    if not isinstance(kind, str):
        return None
    return kind if kind in ("text", "base64", "content", "file") else "other"


DocumentSource: TypeAlias = Annotated[
    Annotated[TextSource, Tag("text")]
    | Annotated[Base64Source, Tag("base64")]
    | Annotated[ContentSource, Tag("content")]
    | Annotated[FileSource, Tag("file")]
    | Annotated[OtherSource, Tag("other")],
    Discriminator(
        _source_tag,
        custom_error_type="invalid_type",
        custom_error_message="Input should be a source: an object with a type",
    ),
]


class DocumentBlock(RequestModel):
    """A text to answer from: plain, a PDF, or blocks."""

    IGNORED = foreign.MARKS

    type: Literal["document"]
    source: DocumentSource
    title: Annotated[str, StringConstraints(max_length=4096)] | None = None
    context: str | None = Field(default=None, description="Told to the model, and never cited.")
    citations: CitationsEnabled | None = None

    @property
    def is_cited(self) -> bool:
        return bool(self.citations and self.citations.enabled)


class SearchResultBlock(RequestModel):
    IGNORED = foreign.MARKS

    type: Literal["search_result"]
    source: Annotated[str, StringConstraints(max_length=4096)]
    title: Annotated[str, StringConstraints(max_length=4096)]
    content: Annotated[list[TextBlock], Field(min_length=1, max_length=MAX_BLOCKS, fail_fast=True)]
    citations: CitationsEnabled | None = None

    @property
    def is_cited(self) -> bool:
        return bool(self.citations and self.citations.enabled)


class OtherBlock(RequestModel):
    """A block of any other type: refused, but the result of a tool that a server ran."""

    model_config = ConfigDict(extra="allow")

    type: str
    tool_use_id: CallId | None = None
    content: Whatever = None


class ToolResultBlock(RequestModel):
    """What the client's tool gave."""

    IGNORED = foreign.MARKS

    type: Literal["tool_result"]
    tool_use_id: CallId
    content: "Content | None" = None
    is_error: bool | None = None


_READ: Final = {
    "text": "text",
    "thinking": "thinking",
    "redacted_thinking": "redacted_thinking",
    "tool_use": "tool_use",
    "server_tool_use": "tool_use",
    "mcp_tool_use": "tool_use",
    "tool_result": "tool_result",
    "document": "document",
    "search_result": "search_result",
}


def _block_tag(value: Any) -> str | None:
    kind = value.get("type") if isinstance(value, dict) else getattr(value, "type", None)
    return _READ.get(kind, "other") if isinstance(kind, str) else None


AnyBlock = Annotated[
    Annotated[TextBlock, Tag("text")]
    | Annotated[ThinkingBlock, Tag("thinking")]
    | Annotated[RedactedThinkingBlock, Tag("redacted_thinking")]
    | Annotated[ToolUseBlock, Tag("tool_use")]
    | Annotated[ToolResultBlock, Tag("tool_result")]
    | Annotated[DocumentBlock, Tag("document")]
    | Annotated[SearchResultBlock, Tag("search_result")]
    | Annotated[OtherBlock, Tag("other")],
    Discriminator(
        _block_tag,
        custom_error_type="invalid_type",
        custom_error_message="Input should be a content block: an object with a type",
    ),
    at_most(MAX_FIELDS),
]
Block: TypeAlias = (
    TextBlock
    | ThinkingBlock
    | RedactedThinkingBlock
    | ToolUseBlock
    | ToolResultBlock
    | DocumentBlock
    | SearchResultBlock
    | OtherBlock
)
Blocks = Annotated[list[AnyBlock], Field(max_length=MAX_BLOCKS, fail_fast=True)]

Content = Annotated[
    Annotated[str, Tag("text")] | Annotated[Blocks, Tag("list")],
    Discriminator(
        text_or_list,
        custom_error_type="invalid_type",
        custom_error_message="Input should be a string or a list of content blocks",
    ),
]

ContentSource.model_rebuild()
ToolResultBlock.model_rebuild()


class Turn(RequestModel):
    """One turn. A turn of `system` may stand anywhere."""

    IGNORED = foreign.MARKS

    role: Literal["user", "assistant", "system"]
    content: Content = Field(examples=["Say hello in one word."])
    id: NotAvailable = Field(default=None, description="Accepted; changes nothing.")
