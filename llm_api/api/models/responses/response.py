"""The response object."""

from typing import Literal, TypeAlias

from pydantic import Field, JsonValue

from llm_api.api.models.base import AnswerModel
from llm_api.api.models.responses.output import OutputItem

Status: TypeAlias = Literal[
    "queued", "in_progress", "completed", "incomplete", "failed", "cancelled"
]
ErrorCode: TypeAlias = Literal["server_error", "rate_limit_exceeded", "invalid_prompt"]


class ResponseError(AnswerModel):
    code: ErrorCode
    message: str


class IncompleteDetails(AnswerModel):
    reason: Literal["max_output_tokens", "content_filter"]


class InputTokensDetails(AnswerModel):
    cached_tokens: int = Field(description="Shared with earlier requests, not computed again.")
    cache_write_tokens: int


class OutputTokensDetails(AnswerModel):
    reasoning_tokens: int


class ResponseUsage(AnswerModel):
    """Token counts."""

    input_tokens: int
    input_tokens_details: InputTokensDetails
    output_tokens: int
    output_tokens_details: OutputTokensDetails
    total_tokens: int


class ResponseConversation(AnswerModel):
    id: str


class OmittedItem(AnswerModel):
    """An item that was left out of the prompt, which was too long."""

    type: str
    id: str | None


class ResponseObject(AnswerModel):
    """An answer, or as much of it as there is."""

    id: str
    object: Literal["response"]
    created_at: int = Field(description="Unix seconds.")
    completed_at: int | None
    status: Status
    background: bool
    error: ResponseError | None
    incomplete_details: IncompleteDetails | None
    instructions: str | None
    max_output_tokens: int | None
    max_tool_calls: int | None
    model: str
    output: list[OutputItem]
    parallel_tool_calls: bool
    previous_response_id: str | None
    conversation: ResponseConversation | None
    prompt_cache_key: str | None
    safety_identifier: str | None
    reasoning: dict[str, JsonValue]
    service_tier: Literal["default"]
    store: bool
    temperature: float
    text: dict[str, JsonValue]
    tool_choice: str | dict[str, JsonValue]
    tools: list[dict[str, JsonValue]] = Field(description="Those that the model was offered.")
    top_logprobs: int
    top_p: float
    truncation: Literal["auto", "disabled"]
    usage: ResponseUsage | None
    user: str = Field(default="", description="Present if it was sent.")
    metadata: dict[str, str]
    omitted_items: list[OmittedItem] = Field(
        default=[], description="Extension. Present where `truncation` left something out."
    )


class DeletedResponse(AnswerModel):
    id: str
    object: Literal["response"]
    deleted: Literal[True]


class InputTokens(AnswerModel):
    object: Literal["response.input_tokens"]
    input_tokens: int


class ItemList(AnswerModel):
    """A page of items."""

    object: Literal["list"]
    data: list[dict[str, JsonValue]]
    first_id: str
    last_id: str
    has_more: bool
