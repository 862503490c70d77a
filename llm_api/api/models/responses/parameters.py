"""What a client asks of `POST /v1/responses` and of its input tokens."""

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Discriminator, Field, StringConstraints, Tag

from llm_api.api.models import foreign
from llm_api.api.models.base import (
    DEFAULT_MODEL_EXAMPLE,
    ModelName,
    RequestModel,
    at_most,
)
from llm_api.api.models.chat import MetadataKey, MetadataValue
from llm_api.api.models.generation import AnswerLength, NotAvailable, SamplingParameters
from llm_api.api.models.responses.items import Input, ItemId
from llm_api.api.models.responses.tools import Tools, WireToolChoice
from llm_api.api.models.tools import Schema

Metadata = Annotated[dict[MetadataKey, MetadataValue], at_most(16)]
Word = Annotated[str, StringConstraints(max_length=64)]

Include = Literal[
    "code_interpreter_call.outputs",
    "computer_call_output.output.image_url",
    "file_search_call.results",
    "message.input_image.image_url",
    "message.output_text.logprobs",
    "reasoning.encrypted_content",
    "web_search_call.action.sources",
    "web_search_call.results",
]
"""The parts of an answer that may be asked for beside the usual. One that does not occur here adds
nothing."""


class TextFormat(RequestModel):
    """The form of the answer. A schema is always enforced, `strict` or not."""

    type: Literal["text", "json_object", "json_schema"]
    name: Annotated[str, StringConstraints(pattern=r"^[a-zA-Z0-9_-]{1,64}$")] | None = Field(
        default=None, description="Required with the type `json_schema`."
    )
    description: str | None = None
    schema_: Schema | None = Field(
        default=None, alias="schema", description="Required with the type `json_schema`."
    )
    strict: bool | None = None


class TextOptions(RequestModel):
    format: TextFormat | None = None
    verbosity: Word | None = Field(
        default=None, description="Only for models whose chat template knows it."
    )


class ReasoningOptions(RequestModel):
    """How the model thinks, and what of it is shown."""

    effort: Word | None = Field(
        default=None,
        description="`none`, `minimal`, `low`, `medium`, `high`, or what the model's chat template"
        " knows.",
    )
    max_tokens: int | None = Field(
        default=None,
        ge=-1,
        le=2**31 - 1,
        description="Extension. Tokens of thought at most; -1: as many as it takes.",
    )
    summary: Literal["auto", "concise", "detailed"] | None = Field(
        default=None, description="Show the thought as `summary`: in full, whichever is asked for."
    )
    generate_summary: Literal["auto", "concise", "detailed"] | None = Field(
        default=None, description="Older name of `summary`."
    )
    context: str | None = Field(default=None, description="Only `auto`.")
    mode: str | None = Field(default=None, description="Only `standard`.")


class ResponseStreamOptions(RequestModel):
    IGNORED = foreign.STREAM_OPTIONS

    include_obfuscation: bool | None = Field(
        default=None, description="Padding of events: ignored, nothing is padded."
    )


class ConversationReference(RequestModel):
    id: ItemId


def _text_or_object(value: Any) -> str | None:
    if isinstance(value, str):
        return "text"
    return "object" if isinstance(value, dict | ConversationReference) else None


Conversation = Annotated[
    Annotated[ItemId, Tag("text")] | Annotated[ConversationReference, Tag("object")],
    Discriminator(
        _text_or_object,
        custom_error_type="invalid_type",
        custom_error_message="Input should be an id, or an object with an id",
    ),
]


class PromptParameters(RequestModel):
    """What the model is shown."""

    model: ModelName = Field(
        description="A model's id or alias, as `GET /v1/models` lists them.",
        examples=[DEFAULT_MODEL_EXAMPLE],
    )
    input: Input | None = Field(
        default=None,
        description="A text, or items: messages, calls and their outputs, reasoning, references.",
        examples=["Say hello in one sentence."],
    )
    instructions: str | None = Field(
        default=None, description="A system message before everything. Not carried over."
    )
    previous_response_id: ItemId | None = Field(
        default=None, description="Go on from a stored response. Not with `conversation`."
    )
    conversation: Conversation | None = Field(
        default=None, description="Go on with a conversation, which takes in what is said."
    )
    tools: Tools | None = Field(default=None, description="What the model may call.")
    tool_choice: WireToolChoice | None = Field(
        default=None,
        description='`"auto"` (the default with tools), `"none"`, `"required"`, one named tool, or'
        " `allowed_tools`.",
    )
    parallel_tool_calls: bool | None = Field(
        default=None, description="`false`: at most one call. Default `true`."
    )
    text: TextOptions | None = None
    reasoning: ReasoningOptions | None = None
    truncation: Literal["auto", "disabled"] | None = Field(
        default=None,
        description="`auto`: leave out the oldest items where the context is too short."
        " Default `disabled`: refuse.",
    )


class InputTokensRequest(PromptParameters):
    """What would be sent as a response's prompt, to be counted."""


class CreateResponse(PromptParameters, SamplingParameters):
    """What to answer, and how."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"model": DEFAULT_MODEL_EXAMPLE, "input": "Say hello in one sentence."}]
        }
    )

    max_output_tokens: AnswerLength | None = Field(
        default=None,
        description="Thought and answer together. Default: the server's setting. -1: to the end.",
    )
    max_tool_calls: int | None = Field(
        default=None, ge=0, le=2**31 - 1, description="Calls that this server itself may make."
    )
    stream: bool | None = Field(default=None, description="Answer with server-sent events.")
    stream_options: ResponseStreamOptions | None = Field(
        default=None, description="Only with `stream`."
    )
    store: bool | None = Field(
        default=None, description="Keep the response, to be gone on from. Default `true`."
    )
    background: bool | None = Field(
        default=None, description="Answer at once and generate on. Only with `store`."
    )
    include: Annotated[list[Include], Field(max_length=32, fail_fast=True)] | None = None
    top_logprobs: int | None = Field(
        default=None, ge=0, le=20, description="Likeliest candidates of each token to list."
    )
    metadata: Metadata | None = None
    service_tier: str | None = Field(default=None, description="There is one: `default`.")
    user: str | None = Field(default=None, description="Accepted; changes nothing.")
    safety_identifier: str | None = Field(default=None, description="Accepted; changes nothing.")
    prompt_cache_key: str | None = Field(
        default=None, description="A hint. Common prefixes are found without it."
    )
    client_metadata: Annotated[dict[str, Any], at_most(64)] | None = Field(
        default=None, description="Accepted; Codex sends it."
    )
    prompt: NotAvailable = Field(default=None, description="Not available: refused.")
    moderation: NotAvailable = Field(default=None, description="Not available: refused.")
    context_management: NotAvailable = Field(default=None, description="Not available: refused.")

    @property
    def is_streamed(self) -> bool:
        return bool(self.stream)

    @property
    def is_stored(self) -> bool:
        return self.store is not False

    @property
    def is_background(self) -> bool:
        return bool(self.background)
