"""The chat completions resource: its request, its answer, its stream."""

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, StringConstraints

from llm_api.api.models import foreign
from llm_api.api.models.base import (
    DEFAULT_MODEL_EXAMPLE,
    AnswerModel,
    RequestModel,
    at_most,
)
from llm_api.api.models.generation import (
    AnswerLength,
    CompletionUsage,
    GenerationParameters,
    NotAvailable,
    PromptProgress,
)
from llm_api.api.models.messages import ChatMessage
from llm_api.api.models.options import OptionsParameters
from llm_api.api.models.rag.chat import Annotation, RagContext, RagParameters
from llm_api.api.models.reasoning import ReasoningParameters
from llm_api.api.models.tools import (
    MAX_TOOLS,
    FunctionCall,
    FunctionCallDelta,
    FunctionChoice,
    FunctionDefinition,
    Schema,
    ServerTools,
    Tool,
    ToolCall,
    ToolCallDelta,
    WireToolChoice,
)

MetadataKey = Annotated[str, StringConstraints(max_length=64)]
MetadataValue = Annotated[str, StringConstraints(max_length=512)]


class JsonSchemaFormat(RequestModel):
    """A named schema. It is always enforced, `strict` or not."""

    name: Annotated[str, StringConstraints(pattern=r"^[a-zA-Z0-9_-]{1,64}$")]
    description: str | None = None
    schema_: Schema | None = Field(
        default=None, alias="schema", description="Absent: any JSON object."
    )
    strict: bool | None = None


class ResponseFormat(RequestModel):
    """The form of the answer."""

    type: Literal["text", "json_object", "json_schema"]
    json_schema: JsonSchemaFormat | None = Field(
        default=None, description="Required with the type `json_schema`."
    )
    schema_: Schema | None = Field(
        default=None,
        alias="schema",
        description="Extension. A schema for the type `json_object`.",
    )


class ChatCompletionRequest(GenerationParameters, ReasoningParameters, OptionsParameters):
    """A conversation to continue."""

    IGNORED = foreign.CHAT

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "model": DEFAULT_MODEL_EXAMPLE,
                    "messages": [{"role": "user", "content": "Say hello in one sentence."}],
                    "max_completion_tokens": 64,
                }
            ]
        }
    )

    messages: Annotated[list[ChatMessage], Field(fail_fast=True)] = Field(
        min_length=1, max_length=4096
    )
    max_completion_tokens: AnswerLength | None = Field(
        default=None, description="Default: the server's setting. -1: to the end."
    )
    max_tokens: AnswerLength | None = Field(
        default=None, description="Older name of `max_completion_tokens`."
    )
    logprobs: bool | None = Field(default=None, description="Log-probability of each token.")
    top_logprobs: int | None = Field(
        default=None, ge=0, le=20, description="Likeliest candidates to list. With `logprobs`."
    )
    response_format: ResponseFormat | None = Field(default=None)
    modalities: Annotated[list[str], Field(fail_fast=True)] | None = Field(
        default=None, description='Only `["text"]`.'
    )
    service_tier: str | None = Field(default=None, description="There is one: `default`.")
    store: bool | None = Field(default=None, description="`true` is ignored: nothing is stored.")
    metadata: Annotated[dict[MetadataKey, MetadataValue], at_most(16)] | None = Field(
        default=None, description="Accepted; changes nothing."
    )
    safety_identifier: str | None = Field(default=None, description="Accepted; changes nothing.")
    prompt_cache_key: str | None = Field(
        default=None, description="A hint. Common prefixes are found without it."
    )
    prediction: dict[str, Any] | None = Field(
        default=None, description="A hint for speed. Never changes the answer."
    )
    tools: Annotated[list[Tool], Field(fail_fast=True)] | None = Field(
        default=None, max_length=MAX_TOOLS, description="Functions the model may call."
    )
    tool_choice: WireToolChoice | None = Field(
        default=None,
        description='`"auto"` (the default with tools), `"none"`, `"required"`, one named function,'
        " or `allowed_tools`.",
    )
    parallel_tool_calls: bool | None = Field(
        default=None, description="`false`: at most one call. Default `true`."
    )
    server_tools: ServerTools | None = Field(
        default=None,
        description="Extension. Names of functions from `GET /v1/functions` that the server runs"
        ' by itself where the model calls them, or `"all"`.',
        examples=[["get_current_time"]],
    )
    rag: RagParameters | None = Field(
        default=None,
        description="Extension. Answer from documents, as `POST /v1/rag/chat` does; sources come as"
        " `annotations`.",
        examples=[{"collection": "default", "top_k": 3}],
    )
    functions: Annotated[list[FunctionDefinition], Field(fail_fast=True)] | None = Field(
        default=None, max_length=MAX_TOOLS, description="Older form of `tools`."
    )
    function_call: FunctionChoice | None = Field(
        default=None, description="Older form of `tool_choice`."
    )
    audio: NotAvailable = Field(default=None, description="Not available: refused.")
    web_search_options: NotAvailable = Field(default=None, description="Not available: refused.")
    moderation: NotAvailable = Field(default=None, description="Not available: refused.")


WireFinishReason = Literal["stop", "length", "tool_calls", "content_filter", "function_call"]


class TopLogprob(AnswerModel):
    """One candidate. `bytes` are the token's, which need not be whole characters."""

    token: str
    logprob: float
    bytes: list[int] | None


class TokenLogprob(AnswerModel):
    """The chosen token, and the likeliest candidates in descending order."""

    token: str
    logprob: float
    bytes: list[int] | None
    top_logprobs: list[TopLogprob]


class ChoiceLogprobs(AnswerModel):
    content: list[TokenLogprob] | None
    refusal: list[TokenLogprob] | None


class ServerToolCall(AnswerModel):
    """Extension. A call that the server made itself, and what came back."""

    index: int
    id: str
    name: str
    arguments: str = Field(description="JSON text.")
    result: str = Field(description='JSON text; `{"error": ...}` where the call failed.')
    is_error: bool
    duration_seconds: float


class AnswerMessage(AnswerModel):
    role: Literal["assistant"]
    content: str | None
    refusal: str | None
    reasoning_content: str = Field(
        default="", description="Extension. Present where the model thought before it answered."
    )
    tool_calls: list[ToolCall] = Field(
        default_factory=list, description="Present where there are calls."
    )
    function_call: FunctionCall | None = Field(
        default=None, description="Present where `functions` were given and one is called."
    )
    server_tool_calls: list[ServerToolCall] = Field(
        default_factory=list, description="Extension. Present where the server has run functions."
    )
    annotations: list[Annotation] = Field(default_factory=list, description="Present with `rag`.")
    rag: RagContext = Field(
        default_factory=RagContext, description="Extension. Present with `rag`."
    )


class ChatChoice(AnswerModel):
    index: int
    message: AnswerMessage
    logprobs: ChoiceLogprobs | None
    finish_reason: WireFinishReason


class ChatCompletion(AnswerModel):
    """A whole answer."""

    id: str
    object: Literal["chat.completion"]
    created: int = Field(description="Unix seconds.")
    model: str
    choices: list[ChatChoice]
    usage: CompletionUsage
    service_tier: str | None = Field(default=None, description="Present if it was asked for.")
    system_fingerprint: str


class Delta(AnswerModel):
    """What a chunk adds to its choice's message."""

    role: Literal["assistant"] = "assistant"
    content: str | None = ""
    reasoning_content: str = ""
    tool_calls: list[ToolCallDelta] = Field(default_factory=list)
    function_call: FunctionCallDelta | None = None
    server_tool_calls: list[ServerToolCall] = Field(default_factory=list)
    annotations: list[Annotation] = Field(default_factory=list)
    rag: RagContext = Field(default_factory=RagContext)


class ChunkChoice(AnswerModel):
    index: int
    delta: Delta
    logprobs: ChoiceLogprobs | None
    finish_reason: WireFinishReason | None


class ChatCompletionChunk(AnswerModel):
    """One frame of a streamed answer."""

    id: str
    object: Literal["chat.completion.chunk"]
    created: int = Field(description="Unix seconds, the same in every chunk.")
    model: str
    choices: list[ChunkChoice]
    service_tier: str | None = Field(default=None, description="Present if it was asked for.")
    system_fingerprint: str
    usage: CompletionUsage | None = Field(
        default=None, description="Present with `stream_options.include_usage`; null until the end."
    )
    prompt_progress: PromptProgress | None = Field(
        default=None, description="Present with `return_progress`, before the answer begins."
    )
