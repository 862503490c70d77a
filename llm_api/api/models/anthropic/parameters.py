"""What `/v1/messages` and its count of tokens are asked."""

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Discriminator, Field, StringConstraints, Tag

from llm_api.api.models import foreign
from llm_api.api.models.anthropic.blocks import MAX_BLOCKS, TextBlock, Turn
from llm_api.api.models.anthropic.tools import Tools, WireToolChoice
from llm_api.api.models.base import (
    DEFAULT_MODEL_EXAMPLE,
    ModelName,
    RequestModel,
    text_or_list,
)
from llm_api.api.models.generation import NotAvailable, SamplingParameters, StopString
from llm_api.api.models.tools import Schema, ServerTools
from llm_api.core.rag.answering.citations import CitationMode

MAX_TURNS = 100_000
MAX_STOPS = 64

System = Annotated[
    Annotated[str, Tag("text")]
    | Annotated[list[TextBlock], Field(max_length=MAX_BLOCKS, fail_fast=True), Tag("list")],
    Discriminator(
        text_or_list,
        custom_error_type="invalid_type",
        custom_error_message="Input should be a string or a list of text blocks",
    ),
]


class Thinking(RequestModel):
    """Whether the model thinks before it answers. With `omitted`, the thought is sealed."""

    type: Literal["enabled", "disabled", "adaptive"]
    budget_tokens: int | None = Field(default=None, ge=0, le=2**31 - 1)
    display: Literal["summarized", "omitted"] | None = None


class OutputFormat(RequestModel):
    type: Literal["json_schema"]
    schema_: Schema = Field(alias="schema")


class OutputConfig(RequestModel):
    effort: Annotated[str, StringConstraints(max_length=64)] | None = None
    format: OutputFormat | None = Field(default=None, description="What the answer's text is.")


class PromptParameters(RequestModel):
    """What the model is shown."""

    IGNORED = foreign.MARKS

    model: ModelName = Field(
        description="A model's id or alias, as `GET /v1/models` lists them.",
        examples=[DEFAULT_MODEL_EXAMPLE],
    )
    messages: Annotated[list[Turn], Field(fail_fast=True)] = Field(
        min_length=1,
        max_length=MAX_TURNS,
        examples=[[{"role": "user", "content": "Say hello in one sentence."}]],
    )
    system: System | None = None
    tools: Tools | None = None
    tool_choice: WireToolChoice | None = None
    thinking: Thinking | None = None
    output_config: OutputConfig | None = None
    output_format: OutputFormat | None = Field(
        default=None, description="Older place of `output_config.format`."
    )
    server_tools: ServerTools | None = Field(
        default=None,
        description="Extension. Names of functions from `GET /v1/functions` that the server runs"
        ' by itself where the model calls them, or `"all"`.',
        examples=[["get_current_time"]],
    )
    citations: CitationMode | None = Field(
        default=None,
        description="Extension. Where the citations of documents come from: the `model`'s markers,"
        " the `alignment` of each sentence with the documents, `both` (the default), or `none`."
        " `required` holds the model to a marker for each sentence.",
    )
    rag: NotAvailable = Field(default=None, description="Not available here: refused.")


class CountTokens(PromptParameters):
    """A prompt whose tokens are to be counted."""


class Metadata(RequestModel):
    user_id: str | None = Field(default=None, description="Accepted; changes nothing.")


class CreateMessage(SamplingParameters, PromptParameters):
    """A conversation to continue."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "model": DEFAULT_MODEL_EXAMPLE,
                    "max_tokens": 64,
                    "messages": [{"role": "user", "content": "Say hello in one sentence."}],
                }
            ]
        }
    )

    max_tokens: int = Field(
        ge=1, le=2**31 - 1, description="More than the context has room for is its end."
    )
    stop_sequences: (
        Annotated[list[StopString], Field(max_length=MAX_STOPS, fail_fast=True)] | None
    ) = None
    stream: bool | None = Field(default=None, description="Answer with server-sent events.")
    metadata: Metadata | None = None
    service_tier: Any = Field(default=None, description="Accepted; changes nothing.")

    @property
    def is_streamed(self) -> bool:
        return bool(self.stream)
