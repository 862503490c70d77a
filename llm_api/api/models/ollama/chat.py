"""Ollama's two resources that generate, `/api/chat` and `/api/generate`: their requests."""

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, JsonValue, StringConstraints, Tag

from llm_api.api.models import foreign
from llm_api.api.models.base import RequestModel, at_most_nested
from llm_api.api.models.generation import NotAvailable
from llm_api.api.models.ollama.options import ModelRequest
from llm_api.api.models.tools import MAX_CALLS, MAX_TOOLS, FunctionDefinition, Schema


def _word_or_schema(value: Any) -> str | None:
    if isinstance(value, str):
        return "word"
    return "schema" if isinstance(value, dict) else None


Format = Annotated[
    Annotated[Literal["", "json"], Tag("word")] | Annotated[Schema, Tag("schema")],
    Discriminator(
        _word_or_schema,
        custom_error_type="invalid_type",
        custom_error_message="Input should be 'json' or a JSON schema",
    ),
]

Name = Annotated[str, StringConstraints(max_length=256)]
Think = bool | Annotated[str, StringConstraints(max_length=64)]


class PastFunction(RequestModel):
    """What was called, and with which arguments."""

    name: Name
    arguments: Annotated[dict[str, JsonValue], at_most_nested(10_000)] | None = None
    index: int | None = Field(default=None, description="Accepted; the order says it.")
    description: str | None = Field(default=None, description="Accepted; changes nothing.")


class PastCall(RequestModel):
    """A call of an earlier answer."""

    function: PastFunction
    id: Name | None = None
    type: str | None = None


class Turn(RequestModel):
    """One turn.

    A `tool` turn is the result of the call `tool_call_id`; else of the first call of `tool_name`
    that has none yet.
    """

    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: str | None = Field(default=None, examples=["Say hello in one word."])
    thinking: str | None = Field(default=None, description="What came before this answer.")
    images: NotAvailable = None
    tool_calls: Annotated[list[PastCall], Field(max_length=MAX_CALLS, fail_fast=True)] | None = None
    tool_name: Name | None = None
    name: Name | None = Field(default=None, description="Older name of `tool_name`.")
    tool_call_id: Name | None = None


class Tool(RequestModel):
    type: str | None = Field(default=None, description="Only `function`.")
    function: FunctionDefinition


class OllamaGenerationRequest(ModelRequest):
    """What steers a generation."""

    IGNORED = foreign.OLLAMA

    stream: bool | None = Field(default=None, description="Answer line by line. Default `true`.")
    format: Format | None = Field(default=None, description="`json`, or a JSON schema.")
    think: Think | None = Field(
        default=None, description="`true`, `false`, or an effort: `low`, `medium`, `high`."
    )
    logprobs: bool | None = None
    top_logprobs: int | None = Field(default=None, ge=0, le=20)

    @property
    def is_streamed(self) -> bool:
        return self.stream is not False


class OllamaChatRequest(OllamaGenerationRequest):
    """A conversation to continue. Without messages, the model is loaded, or unloaded."""

    messages: Annotated[list[Turn], Field(max_length=4096, fail_fast=True)] | None = None
    tools: Annotated[list[Tool], Field(max_length=MAX_TOOLS, fail_fast=True)] | None = None


class OllamaGenerateRequest(OllamaGenerationRequest):
    """A prompt to answer. Without one, the model is loaded, or unloaded."""

    prompt: str | None = Field(default=None, examples=["Why is the sky blue?"])
    suffix: str | None = Field(default=None, description="What follows the text to be filled in.")
    system: str | None = None
    template: str | None = Field(default=None, description="Only empty: the model's own is used.")
    context: NotAvailable = None
    raw: bool | None = Field(default=None, description="Continue the prompt without a template.")
    images: NotAvailable = None
