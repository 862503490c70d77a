"""A message that a model of this server gives, and the events of a streamed one."""

from typing import Any, ClassVar, Literal, TypeAlias

from pydantic import Field

from llm_api.api.models.base import AnswerModel
from llm_api.api.models.generation import PromptProgress

StopReason: TypeAlias = Literal[
    "end_turn",
    "max_tokens",
    "stop_sequence",
    "tool_use",
    "refusal",
    "model_context_window_exceeded",
]


class CitedDocument(AnswerModel):
    """A document that words are taken from, by its number among the documents of the request.

    Of a search, the number is that of the passage over all searches, from 0; `file_id` is the
    document's id.
    """

    cited_text: str
    document_index: int
    document_title: str | None
    file_id: str | None


class CharLocation(CitedDocument):
    """Characters of a plain text, from 0, the end excluded."""

    type: Literal["char_location"]
    start_char_index: int
    end_char_index: int


class PageLocation(CitedDocument):
    """Pages of a PDF, from 1, the end excluded."""

    type: Literal["page_location"]
    start_page_number: int
    end_page_number: int


class BlockLocation(CitedDocument):
    """Blocks of a document that came in blocks, from 0, the end excluded."""

    type: Literal["content_block_location"]
    start_block_index: int
    end_block_index: int


class SearchResultLocation(AnswerModel):
    """Blocks of a search result, from 0, the end excluded."""

    type: Literal["search_result_location"]
    cited_text: str
    source: str
    title: str | None
    search_result_index: int
    start_block_index: int
    end_block_index: int


Citation: TypeAlias = CharLocation | PageLocation | BlockLocation | SearchResultLocation


class AnswerText(AnswerModel):
    type: Literal["text"]
    text: str
    citations: list[Citation] = Field(default=[], description="Present where there are some.")


class AnswerThinking(AnswerModel):
    """What the model thought. Send it back as it is: the signature says that it was not changed."""

    type: Literal["thinking"]
    thinking: str
    signature: str


class AnswerToolUse(AnswerModel):
    """A call that the client is asked to make."""

    type: Literal["tool_use"]
    id: str
    name: str
    input: dict[str, Any]


class ServerToolUse(AnswerModel):
    """Extension. A call of a function of this server's, which has been made."""

    type: Literal["mcp_tool_use"]
    id: str
    name: str
    server_name: str
    input: dict[str, Any]


class ResultText(AnswerModel):
    type: Literal["text"]
    text: str


class ServerToolResult(AnswerModel):
    """Extension. What came back from that call."""

    type: Literal["mcp_tool_result"]
    tool_use_id: str
    is_error: bool
    content: list[ResultText]


AnswerBlock: TypeAlias = (
    AnswerText | AnswerThinking | AnswerToolUse | ServerToolUse | ServerToolResult
)


class MessageUsage(AnswerModel):
    """Token counts. The three of the prompt add up to all of it."""

    input_tokens: int = Field(description="Of the prompt, computed for this answer.")
    cache_creation_input_tokens: int = Field(
        description="Always 0: every prefix is kept by itself."
    )
    cache_read_input_tokens: int = Field(description="Of the prompt, shared with earlier requests.")
    output_tokens: int
    service_tier: Literal["standard"]


class Message(AnswerModel):
    """A whole answer."""

    id: str
    type: Literal["message"]
    role: Literal["assistant"]
    model: str
    content: list[AnswerBlock]
    stop_reason: StopReason | None
    stop_sequence: str | None
    usage: MessageUsage


class TokenCount(AnswerModel):
    input_tokens: int


class MessageStart(AnswerModel):
    """The message before anything of it has been said."""

    EVENT: ClassVar[str | None] = "message_start"

    type: Literal["message_start"]
    message: Message


class Ping(AnswerModel):
    """Nothing has been said yet; how far the prompt is read."""

    EVENT: ClassVar[str | None] = "ping"

    type: Literal["ping"]
    prompt_progress: PromptProgress


class BlockStart(AnswerModel):
    EVENT: ClassVar[str | None] = "content_block_start"

    type: Literal["content_block_start"]
    index: int
    content_block: AnswerBlock


class TextDelta(AnswerModel):
    type: Literal["text_delta"]
    text: str


class ThinkingDelta(AnswerModel):
    type: Literal["thinking_delta"]
    thinking: str


class SignatureDelta(AnswerModel):
    type: Literal["signature_delta"]
    signature: str


class InputDelta(AnswerModel):
    type: Literal["input_json_delta"]
    partial_json: str


class CitationsDelta(AnswerModel):
    type: Literal["citations_delta"]
    citation: Citation


Delta: TypeAlias = TextDelta | ThinkingDelta | SignatureDelta | InputDelta | CitationsDelta


class BlockDelta(AnswerModel):
    EVENT: ClassVar[str | None] = "content_block_delta"

    type: Literal["content_block_delta"]
    index: int
    delta: Delta


class BlockStop(AnswerModel):
    EVENT: ClassVar[str | None] = "content_block_stop"

    type: Literal["content_block_stop"]
    index: int


class StopFields(AnswerModel):
    stop_reason: StopReason
    stop_sequence: str | None


class MessageDelta(AnswerModel):
    """Why the message ends, and all of its usage."""

    EVENT: ClassVar[str | None] = "message_delta"

    type: Literal["message_delta"]
    delta: StopFields
    usage: MessageUsage


class MessageStop(AnswerModel):
    EVENT: ClassVar[str | None] = "message_stop"

    type: Literal["message_stop"]


MessageEvent: TypeAlias = (
    MessageStart | BlockStart | BlockDelta | BlockStop | MessageDelta | MessageStop
)
