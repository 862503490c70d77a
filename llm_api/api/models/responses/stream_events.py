"""The events of a streamed response. Each carries its number; the fold gives it."""

from typing import ClassVar

from llm_api.api.models.base import AnswerModel
from llm_api.api.models.generation import PromptProgress
from llm_api.api.models.responses.output import (
    FileCitation,
    OutputItem,
    OutputLogprob,
    OutputText,
    SummaryText,
)
from llm_api.api.models.responses.response import ResponseObject


class ResponseEvent(AnswerModel):
    """One event. `EVENT` is its type."""

    type: str = ""
    sequence_number: int = 0

    def number(self, number: int) -> None:
        """Give the event its place in the stream. Mutates."""
        self.type = self.EVENT or ""  # assigned, so that it counts as set and is sent
        self.sequence_number = number


class LifecycleEvent(ResponseEvent):
    """The whole response as it is now."""

    response: ResponseObject


class Created(LifecycleEvent):
    EVENT: ClassVar = "response.created"


class Queued(LifecycleEvent):
    EVENT: ClassVar = "response.queued"


class InProgress(LifecycleEvent):
    """Repeated, as the same event of the same number, while the answer has not begun."""

    EVENT: ClassVar = "response.in_progress"

    prompt_progress: PromptProgress | None = None


class Completed(LifecycleEvent):
    EVENT: ClassVar = "response.completed"


class Incomplete(LifecycleEvent):
    EVENT: ClassVar = "response.incomplete"


class Failed(LifecycleEvent):
    EVENT: ClassVar = "response.failed"


class ItemEvent(ResponseEvent):
    output_index: int
    item: OutputItem


class ItemAdded(ItemEvent):
    EVENT: ClassVar = "response.output_item.added"


class ItemDone(ItemEvent):
    EVENT: ClassVar = "response.output_item.done"


class InItem(ResponseEvent):
    """Of the item `item_id`, which stands at `output_index`."""

    item_id: str
    output_index: int


class InContent(InItem):
    content_index: int


class PartAdded(InContent):
    EVENT: ClassVar = "response.content_part.added"

    part: OutputText


class PartDone(InContent):
    EVENT: ClassVar = "response.content_part.done"

    part: OutputText


class TextDelta(InContent):
    EVENT: ClassVar = "response.output_text.delta"

    delta: str
    logprobs: list[OutputLogprob]


class TextDone(InContent):
    EVENT: ClassVar = "response.output_text.done"

    text: str
    logprobs: list[OutputLogprob]


class AnnotationAdded(InContent):
    EVENT: ClassVar = "response.output_text.annotation.added"

    annotation_index: int
    annotation: FileCitation


class ReasoningDelta(InContent):
    EVENT: ClassVar = "response.reasoning_text.delta"

    delta: str


class ReasoningDone(InContent):
    EVENT: ClassVar = "response.reasoning_text.done"

    text: str


class InSummary(InItem):
    summary_index: int


class SummaryPartAdded(InSummary):
    EVENT: ClassVar = "response.reasoning_summary_part.added"

    part: SummaryText


class SummaryPartDone(InSummary):
    EVENT: ClassVar = "response.reasoning_summary_part.done"

    part: SummaryText


class SummaryDelta(InSummary):
    EVENT: ClassVar = "response.reasoning_summary_text.delta"

    delta: str


class SummaryDone(InSummary):
    EVENT: ClassVar = "response.reasoning_summary_text.done"

    text: str


class ArgumentsDelta(InItem):
    EVENT: ClassVar = "response.function_call_arguments.delta"

    delta: str


class ArgumentsDone(InItem):
    EVENT: ClassVar = "response.function_call_arguments.done"

    name: str
    arguments: str


class CustomInputDelta(InItem):
    EVENT: ClassVar = "response.custom_tool_call_input.delta"

    delta: str


class CustomInputDone(InItem):
    EVENT: ClassVar = "response.custom_tool_call_input.done"

    input: str


class FileSearchInProgress(InItem):
    EVENT: ClassVar = "response.file_search_call.in_progress"


class FileSearchSearching(InItem):
    EVENT: ClassVar = "response.file_search_call.searching"


class FileSearchCompleted(InItem):
    EVENT: ClassVar = "response.file_search_call.completed"


class MCPListInProgress(InItem):
    EVENT: ClassVar = "response.mcp_list_tools.in_progress"


class MCPListCompleted(InItem):
    EVENT: ClassVar = "response.mcp_list_tools.completed"


class MCPInProgress(InItem):
    EVENT: ClassVar = "response.mcp_call.in_progress"


class MCPArgumentsDelta(InItem):
    EVENT: ClassVar = "response.mcp_call_arguments.delta"

    delta: str


class MCPArgumentsDone(InItem):
    EVENT: ClassVar = "response.mcp_call_arguments.done"

    arguments: str


class MCPCompleted(InItem):
    EVENT: ClassVar = "response.mcp_call.completed"


class MCPFailed(InItem):
    EVENT: ClassVar = "response.mcp_call.failed"


class StreamError(ResponseEvent):
    """Why a stream ends before its response does."""

    EVENT: ClassVar = "error"

    code: str | None
    message: str
    param: str | None
