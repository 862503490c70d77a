"""What requests that generate share, sampling and streaming, and their answers: token counts."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Discriminator, Field, StringConstraints, Tag
from pydantic_core import PydanticCustomError

from llm_api.api.models import foreign
from llm_api.api.models.base import (
    DEFAULT_MODEL_EXAMPLE,
    AnswerModel,
    ModelName,
    RequestModel,
    at_most,
    text_or_list,
)

MAX_CHOICES = 16

StopString = Annotated[str, StringConstraints(min_length=1, max_length=1024)]
TokenIdText = Annotated[str, StringConstraints(pattern=r"^[0-9]{1,9}$")]
Bias = Annotated[float, Field(ge=-100, le=100)]


LastTokens = Annotated[int, Field(ge=-1, le=2**31 - 1)]
SequenceBreaker = Annotated[str, StringConstraints(min_length=1, max_length=64)]
SamplerName = Literal[
    "penalties", "dry", "top_n_sigma", "top_k", "typ_p", "top_p", "min_p", "xtc", "temperature"
]
"""What llama-server calls the stages of a choice, in the order in which they are used."""

Stop = Annotated[
    Annotated[StopString, Tag("text")]
    | Annotated[list[StopString], Field(max_length=4, fail_fast=True), Tag("list")],
    Discriminator(
        text_or_list,
        custom_error_type="invalid_type",
        custom_error_message="Input should be a string or a list of up to 4 strings",
    ),
]


def _is_length(value: int) -> int:
    if value == 0:
        raise PydanticCustomError("zero", "Input should be at least 1, or -1 for no limit")
    return value


AnswerLength = Annotated[int, Field(ge=-1, le=2**31 - 1), AfterValidator(_is_length)]
"""Tokens of an answer; -1 stands for as many as it takes."""


class LoraAdapter(RequestModel):
    """An adapter that changes the model for this request."""

    id: (
        Annotated[str, StringConstraints(min_length=1, max_length=256)]
        | Annotated[int, Field(ge=0, lt=1000)]
    ) = Field(description="Its name in the model's entry, or its place there, from 0.")
    scale: float | None = Field(
        default=None,
        ge=-100,
        le=100,
        description="How strongly it counts; 0: not. Default: as the entry says.",
    )


class UsageOptions(RequestModel):
    """OpenRouter's way to ask for the usage."""

    include: bool | None = None


class StreamOptions(RequestModel):
    """How a stream is written."""

    IGNORED = foreign.STREAM_OPTIONS

    include_usage: bool | None = Field(
        default=None, description="Send one more chunk with the usage before `[DONE]`."
    )
    include_obfuscation: bool | None = Field(
        default=None, description="Padding of chunks: ignored, nothing is padded."
    )


PromptCacheRetention = Annotated[
    Literal["in_memory", "24h"],
    BeforeValidator(lambda value: "in_memory" if value == "in-memory" else value),
]
"""OpenAI's SDKs have had both spellings."""


class SamplingParameters(RequestModel):
    """How the next token is chosen. Null means absent."""

    IGNORED = foreign.GENERATION

    prompt_cache_retention: PromptCacheRetention | None = Field(
        default=None,
        description="How long what was computed of the prompt is kept: `in_memory`, never on disk;"
        " `24h`, up to a day without use, leaving after what else the key has. Without it, as the"
        " server's settings say.",
    )

    seed: int | None = Field(
        default=None,
        ge=-(2**63),
        le=2**63 - 1,
        description="Makes the answer repeatable. Choice i of a request uses `seed + i`.",
    )
    temperature: float | None = Field(
        default=None, ge=0, le=2, description="0 is greedy. Default: the server's setting."
    )
    top_p: float | None = Field(
        default=None, ge=0, le=1, description="Nucleus sampling. Default 1: off."
    )
    presence_penalty: float | None = Field(default=None, ge=-2, le=2)
    frequency_penalty: float | None = Field(default=None, ge=-2, le=2)
    logit_bias: Annotated[dict[TokenIdText, Bias], at_most(1024)] | None = Field(
        default=None,
        description="Token id to bias, -100 (never) to 100.",
        examples=[{"42": -100}],
    )
    top_k: int | None = Field(
        default=None, ge=-1, le=2**31 - 1, description="Extension. 0 or -1: off, the default."
    )
    min_p: float | None = Field(default=None, ge=0, le=1, description="Extension. 0: off.")
    typical_p: float | None = Field(default=None, gt=0, le=1, description="Extension. 1: off.")
    repeat_penalty: float | None = Field(
        default=None, gt=0, le=10, description="Extension. 1: off."
    )
    repetition_penalty: float | None = Field(
        default=None, gt=0, le=10, description="Extension. Another name for `repeat_penalty`."
    )
    repeat_last_n: LastTokens | None = Field(
        default=None,
        description="Extension. Last tokens that `repeat_penalty` looks at: -1 all, 0 none."
        " Default 64.",
    )
    dry_multiplier: float | None = Field(
        default=None, ge=0, le=100, description="Extension. Penalty of repetitions, DRY. 0: off."
    )
    dry_base: float | None = Field(default=None, ge=1, le=100, description="Extension.")
    dry_allowed_length: int | None = Field(
        default=None, ge=1, le=1024, description="Extension. Tokens that may be repeated."
    )
    dry_penalty_last_n: LastTokens | None = Field(
        default=None, description="Extension. Last tokens that DRY looks at: -1 all, 0 none."
    )
    dry_sequence_breakers: (
        Annotated[list[SequenceBreaker], Field(max_length=16, fail_fast=True)] | None
    ) = Field(default=None, description="Extension. Texts behind which a repetition is none.")
    xtc_probability: float | None = Field(
        default=None, ge=0, le=1, description="Extension. Of leaving out the likeliest. 0: off."
    )
    xtc_threshold: float | None = Field(default=None, ge=0, le=1, description="Extension.")
    dynatemp_range: float | None = Field(
        default=None, ge=0, le=2, description="Extension. Spread of the temperature. 0: off."
    )
    dynatemp_exponent: float | None = Field(default=None, ge=0, le=10, description="Extension.")
    samplers: Annotated[list[SamplerName], Field(max_length=16, fail_fast=True)] | None = Field(
        default=None,
        description="Extension. What is used of these, in their order; what is left out is off.",
        examples=[["top_k", "top_p", "min_p", "temperature"]],
    )
    mirostat: Literal[0, 1, 2] | None = Field(default=None, description="Extension. 0: off.")
    mirostat_tau: float | None = Field(default=None, ge=0, le=100, description="Extension.")
    mirostat_eta: float | None = Field(default=None, ge=0, le=1, description="Extension.")
    ignore_eos: bool | None = Field(
        default=None, description="Extension. Go on past the model's end of text."
    )


class AnswerParameters(SamplingParameters):
    """What steers a generation, with any backend. Null means absent."""

    n: int | None = Field(
        default=None, ge=1, le=MAX_CHOICES, description="Answers per prompt. Default 1."
    )
    stop: Stop | None = Field(
        default=None, description="Up to 4 strings that end the answer; they are not part of it."
    )
    stream: bool | None = Field(default=None, description="Answer with server-sent events.")
    stream_options: StreamOptions | None = Field(default=None, description="Only with `stream`.")
    usage: UsageOptions | None = Field(
        default=None, description="Extension. Another way to say `stream_options.include_usage`."
    )
    user: str | None = Field(default=None, description="Accepted; changes nothing.")
    guided_regex: Annotated[str, StringConstraints(min_length=1, max_length=65_536)] | None = Field(
        default=None, description="Extension. The whole answer matches this regular expression."
    )
    guided_choice: (
        Annotated[
            list[Annotated[str, StringConstraints(min_length=1, max_length=4096)]],
            Field(min_length=1, max_length=1024, fail_fast=True),
        ]
        | None
    ) = Field(default=None, description="Extension. The answer is one of these strings.")
    grammar: Annotated[str, StringConstraints(min_length=1, max_length=65_536)] | None = Field(
        default=None,
        description="Extension. The answer is a sentence of this grammar, in Lark's notation or"
        " llama.cpp's (GBNF).",
    )

    @property
    def is_streamed(self) -> bool:
        return bool(self.stream)

    @property
    def includes_usage(self) -> bool:
        """Whether the stream ends in a usage chunk."""
        by_option = self.stream_options is not None and self.stream_options.include_usage
        return bool(by_option or (self.usage is not None and self.usage.include))

    @property
    def choices_per_prompt(self) -> int:
        return self.n or 1


ReturnProgress = Annotated[
    bool | None,
    Field(
        description="Extension. With `stream`: tell in frames of their own, as `prompt_progress`,"
        " how far the prompt is read.",
    ),
]


class GenerationParameters(AnswerParameters):
    """What steers a generation, whatever the form of its prompt."""

    model: ModelName = Field(
        description="A model's id or alias, as `GET /v1/models` lists them.",
        examples=[DEFAULT_MODEL_EXAMPLE],
    )
    n_predict: AnswerLength | None = Field(
        default=None, description="Extension. Another name for `max_tokens`."
    )
    lora: Annotated[list[LoraAdapter], Field(max_length=16, fail_fast=True)] | None = Field(
        default=None, description="Extension. Adapters of the model's entry, by their names."
    )
    return_progress: ReturnProgress = None
    n_probs: int | None = Field(
        default=None, ge=0, le=20, description="Extension. Log-probabilities, with so many each."
    )


NotAvailable = Any
"""The type of a field that is declared only to be refused with its own sentence."""


class PromptProgress(AnswerModel):
    """Extension. How far a prompt is read before its answer begins: llama-server's, and more.

    `processed` of `total` tokens are there, of which `cache` were found.
    """

    total: int
    cache: int
    processed: int
    time_ms: int = Field(description="Since the prompt is read; 0 while it waits.")
    place_in_queue: int = Field(description="1 is admitted next; 0 does not wait.")
    tokens_per_second: float | None
    seconds_left: float | None = Field(description="Until the answer begins, about.")


class PromptTokensDetails(AnswerModel):
    """Of the prompt's tokens."""

    cached_tokens: int = Field(description="Shared with earlier requests, not computed again.")
    audio_tokens: int


class CompletionTokensDetails(AnswerModel):
    """Of the generated tokens."""

    reasoning_tokens: int
    audio_tokens: int
    accepted_prediction_tokens: int
    rejected_prediction_tokens: int


class CompletionUsage(AnswerModel):
    """Token counts of one HTTP request."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    prompt_tokens_details: PromptTokensDetails
    completion_tokens_details: CompletionTokensDetails
