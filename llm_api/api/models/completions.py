"""The legacy completions resource: raw text or tokens to continue."""

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Discriminator, Field, Tag

from llm_api.api.models.base import DEFAULT_MODEL_EXAMPLE, AnswerModel
from llm_api.api.models.generation import CompletionUsage, GenerationParameters, PromptProgress
from llm_api.api.models.options import OptionsParameters

MAX_PROMPTS = 64
MAX_PROMPT_TOKENS = 1_048_576

TokenId = Annotated[int, Field(ge=0, le=2**31 - 1)]
TokenIds = Annotated[
    list[TokenId], Field(min_length=1, max_length=MAX_PROMPT_TOKENS, fail_fast=True)
]


def _form(value: Any) -> str | None:
    """The tag in a union of texts and token ids; a list is judged by its first item."""
    if isinstance(value, str):
        return "text"
    if not isinstance(value, list) or not value:
        return None
    return {str: "texts", int: "tokens", list: "token_lists"}.get(type(value[0]))


BY_FORM = Discriminator(
    _form,
    custom_error_type="invalid_type",
    custom_error_message=(
        "Input should be a string, a list of token ids, or a list of those that is not empty"
    ),
)
"""Tells `text`, `texts`, `tokens` and `token_lists` apart, with one finding about anything else."""

LegacyPrompt = Annotated[
    Annotated[str, Tag("text")]
    | Annotated[list[str], Field(max_length=MAX_PROMPTS, fail_fast=True), Tag("texts")]
    | Annotated[TokenIds, Tag("tokens")]
    | Annotated[list[TokenIds], Field(max_length=MAX_PROMPTS, fail_fast=True), Tag("token_lists")],
    BY_FORM,
]


class CompletionRequest(GenerationParameters, OptionsParameters):
    """Text or tokens to continue, without a chat template."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "model": DEFAULT_MODEL_EXAMPLE,
                    "prompt": "The capital of France is",
                    "max_tokens": 16,
                }
            ]
        }
    )

    prompt: LegacyPrompt = Field(description="One prompt or a list: text, or token ids.")
    max_tokens: int | None = Field(
        default=None,
        ge=-1,
        le=2**31 - 1,
        description="Default: the server's setting. -1: to the end.",
    )
    echo: bool | None = Field(default=None, description="Put the prompt's text before the answer.")
    logprobs: int | None = Field(
        default=None, ge=0, le=5, description="Likeliest candidates to list for each token."
    )
    best_of: int | None = Field(
        default=None, ge=1, le=20, description="Only equal to `n`: choices are not ranked."
    )
    suffix: str | None = Field(
        default=None,
        description="What comes after the answer, which then fills in the text between: for models"
        " with fill-in tokens. Empty means absent.",
    )


class LegacyLogprobs(AnswerModel):
    """Parallel lists, one item per token. Offsets count characters of the choice's text."""

    text_offset: list[int]
    token_logprobs: list[float]
    tokens: list[str]
    top_logprobs: list[dict[str, float]]


class CompletionChoice(AnswerModel):
    index: int = Field(description="Position of the prompt times `n`, plus the choice.")
    text: str
    logprobs: LegacyLogprobs | None
    finish_reason: Literal["stop", "length", "content_filter"] | None = Field(
        description="Null in the chunks of a stream until the last."
    )


class Completion(AnswerModel):
    """A whole answer, and also one frame of a streamed one."""

    id: str
    object: Literal["text_completion"]
    created: int = Field(description="Unix seconds.")
    model: str
    choices: list[CompletionChoice]
    system_fingerprint: str
    usage: CompletionUsage | None = Field(
        default=None, description="In a stream only with `stream_options.include_usage`."
    )
    prompt_progress: PromptProgress | None = Field(
        default=None, description="In a stream, with `return_progress`, before the answer begins."
    )
