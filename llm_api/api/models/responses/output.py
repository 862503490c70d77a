"""What an answer is made of on `/v1/responses`: the items of `output`, and their parts."""

from typing import Annotated, Any, Literal, TypeAlias

from pydantic import Field

from llm_api.api.models.base import AnswerModel
from llm_api.api.models.rag.fields import Span

ItemStatus: TypeAlias = Literal["in_progress", "completed", "incomplete"]


class LogprobCandidate(AnswerModel):
    """`bytes` are the token's, which need not be whole characters."""

    token: str
    bytes: list[int]
    logprob: float


class OutputLogprob(LogprobCandidate):
    """The chosen token, and the likeliest candidates in descending order."""

    top_logprobs: list[LogprobCandidate]


class FileCitation(AnswerModel):
    """What the text is taken from. The fields after `filename` are extensions of this server."""

    type: Literal["file_citation"]
    index: int = Field(description="Characters of the text that stand before the citation.")
    file_id: str
    filename: str
    number: int = Field(description="Of the passage, over all searches of the answer.")
    document_id: str
    vector_store_id: str
    span: Span = Field(description="Where the quote stands in the document's text.")
    quote: str
    by: Literal["model", "alignment"] = Field(description="Who has chosen the passage.")
    score: float = Field(description="How much the quote is like the sentence, from 0 to 1.")
    supported: bool = Field(description="Whether that is enough.")


class OutputText(AnswerModel):
    type: Literal["output_text"]
    text: str
    annotations: list[FileCitation]
    logprobs: list[OutputLogprob] = Field(description="Filled where `include` asks for them.")


class OutputMessage(AnswerModel):
    """What the model says."""

    id: str
    type: Literal["message"]
    status: ItemStatus
    role: Literal["assistant"]
    content: list[OutputText]


class ThoughtText(AnswerModel):
    type: Literal["reasoning_text"]
    text: str


class SummaryText(AnswerModel):
    type: Literal["summary_text"]
    text: str


class ReasoningOutput(AnswerModel):
    """What the model thinks before it answers: in `summary` where one is asked for."""

    id: str
    type: Literal["reasoning"]
    status: ItemStatus
    summary: list[SummaryText]
    content: list[ThoughtText] = Field(
        default=[], description="Present where no summary is asked for."
    )
    encrypted_content: str = Field(default="", description="Present where `include` asks for it.")


class FunctionCallOutputItem(AnswerModel):
    """A call that the client is asked to make."""

    id: str
    type: Literal["function_call"]
    status: ItemStatus
    call_id: str
    name: str
    namespace: str = Field(default="", description="Present where the tool has one.")
    arguments: str = Field(description="JSON text, valid for the function's schema.")


class CustomCallOutputItem(AnswerModel):
    """A call of a custom tool that the client is asked to make."""

    id: str
    type: Literal["custom_tool_call"]
    status: ItemStatus
    call_id: str
    name: str
    namespace: str = Field(default="", description="Present where the tool has one.")
    input: str


class MCPError(AnswerModel):
    type: Literal["mcp_tool_execution_error"]
    content: list[dict[str, Any]]


class MCPCallOutputItem(AnswerModel):
    """A call that the server made: of an MCP server's tool, or of a function of its own."""

    id: str
    type: Literal["mcp_call"]
    status: Literal["in_progress", "completed", "failed"]
    server_label: str
    name: str
    arguments: str
    approval_request_id: str | None
    output: str | None
    error: MCPError | None


class ListedTool(AnswerModel):
    name: str
    description: str
    input_schema: dict[str, Any]
    annotations: None


class MCPListOutputItem(AnswerModel):
    """What an MCP server offers."""

    id: str
    type: Literal["mcp_list_tools"]
    server_label: str
    tools: list[ListedTool]
    error: None


class MCPApprovalOutputItem(AnswerModel):
    """A call of an MCP server's tool that waits for leave."""

    id: str
    type: Literal["mcp_approval_request"]
    server_label: str
    name: str
    arguments: str


class FileSearchResult(AnswerModel):
    """A passage. The fields after `text` are extensions of this server."""

    attributes: dict[str, str | int | float | bool]
    file_id: str
    filename: str
    score: float
    text: str
    document_id: str
    vector_store_id: str
    number: int = Field(description="Over all searches of the answer.")
    span: Span = Field(description="Where the text stands in the document's.")


class FileSearchOutputItem(AnswerModel):
    """A search of stored documents."""

    id: str
    type: Literal["file_search_call"]
    status: Literal["in_progress", "searching", "completed", "failed"]
    queries: list[str]
    results: list[FileSearchResult] | None = Field(
        description="Null unless `include` asks for `file_search_call.results`."
    )


OutputItem = Annotated[
    OutputMessage
    | ReasoningOutput
    | FunctionCallOutputItem
    | CustomCallOutputItem
    | MCPCallOutputItem
    | MCPListOutputItem
    | MCPApprovalOutputItem
    | FileSearchOutputItem,
    Field(discriminator="type"),
]
