"""The turns of a conversation, as a client sends them."""

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, StringConstraints, Tag

from llm_api.api.models import foreign
from llm_api.api.models.base import RequestModel, text_or_list
from llm_api.api.models.generation import NotAvailable
from llm_api.api.models.tools import MAX_CALLS, PastFunctionCall, PastToolCall


class FilePart(RequestModel):
    """A file whose text is read, in chat completions; other doors refuse it."""

    file_id: Annotated[str, StringConstraints(max_length=256)] | None = Field(
        default=None, description="A file of `/v1/files`, instead of `file_data`."
    )
    file_data: str | None = Field(default=None, description="In base64, or as a `data:` URL.")
    filename: Annotated[str, StringConstraints(max_length=1024)] | None = Field(
        default=None, description="Its extension says what it is."
    )


class ContentPart(RequestModel):
    """A part of a message. Only text can be read by this server's models, refusals included."""

    IGNORED = foreign.MARKS

    type: Literal["text", "image_url", "input_audio", "file", "refusal"]
    text: str | None = Field(default=None, description="Required in a text part.")
    image_url: NotAvailable = None
    input_audio: NotAvailable = None
    file: FilePart | None = None
    refusal: str | None = Field(
        default=None, description="Required in a refusal part, which only the assistant writes."
    )


Content = Annotated[
    Annotated[str, Tag("text")]
    | Annotated[
        list[ContentPart], Field(min_length=1, max_length=1024, fail_fast=True), Tag("list")
    ],
    Discriminator(
        text_or_list,
        custom_error_type="invalid_type",
        custom_error_message="Input should be a string or a list of content parts",
    ),
]


class ChatMessage(RequestModel):
    """One turn. `developer` is read as `system`; text parts are joined.

    A `tool` turn is the result of the call `tool_call_id`; a `function` turn that of the last
    `function_call`.
    """

    IGNORED = foreign.MESSAGE

    role: Literal["developer", "system", "user", "assistant", "tool", "function"]
    content: Content | None = Field(default=None, examples=["Say hello in one word."])
    name: Annotated[str, StringConstraints(min_length=1, max_length=64)] | None = None
    refusal: str | None = Field(
        default=None, description="Of an earlier answer, in the place of its content."
    )
    annotations: list[Any] | None = Field(
        default=None, description="Of an earlier answer; changes nothing, as the next two."
    )
    server_tool_calls: list[Any] | None = None
    rag: dict[str, Any] | None = None
    audio: NotAvailable = None
    tool_calls: (
        Annotated[list[PastToolCall], Field(max_length=MAX_CALLS, fail_fast=True)] | None
    ) = None
    function_call: PastFunctionCall | None = None
    tool_call_id: Annotated[str, StringConstraints(max_length=256)] | None = None
    reasoning_content: str | None = Field(
        default=None, description="Extension. What the model thought before this answer."
    )
    reasoning: str | None = Field(
        default=None, description="Extension. Another name for `reasoning_content`."
    )
