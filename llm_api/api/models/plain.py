"""The plain resources: one prompt in, one text out, as small servers have them."""

from typing import Annotated

from pydantic import ConfigDict, Field

from llm_api.api.models.base import DEFAULT_MODEL_EXAMPLE, AnswerModel, ModelName
from llm_api.api.models.generation import (
    AnswerLength,
    CompletionUsage,
    SamplingParameters,
    Stop,
)
from llm_api.core.llm.types import FinishReason

Count = Annotated[int, Field(ge=1, le=2**31 - 1)]


class PlainRequest(SamplingParameters):
    """A prompt for a model. Null means absent."""

    prompt: str = Field(examples=["The capital of France is"])
    model: ModelName | None = Field(
        default=None, description="A model's id or alias. Default: the first of this server's."
    )


class GenerateRequest(PlainRequest):
    """A text to continue."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"prompt": "The capital of France is", "max_new_tokens": 16}]
        }
    )

    max_new_tokens: Count | None = Field(
        default=None,
        description="Tokens of the answer; up to the setting `GENERATE_MAX_TOKENS`. Default 50.",
    )
    max_tokens: Count | None = Field(default=None, description="Another name for `max_new_tokens`.")
    max_length: Count | None = Field(
        default=None, description="Another name for `max_new_tokens`: the prompt does not count."
    )
    n_predict: Count | None = Field(
        default=None, description="Another name for `max_new_tokens`, llama-server's."
    )
    stop: Stop | None = Field(
        default=None, description="Up to 4 strings that end the answer; they are not part of it."
    )


class GenerateAnswer(AnswerModel):
    """The continuation, without the prompt."""

    response: str = Field(examples=[" Paris."])
    generated_text: str = Field(description="The same as `response`.", examples=[" Paris."])
    model: str = Field(examples=[DEFAULT_MODEL_EXAMPLE])
    finish_reason: FinishReason
    usage: CompletionUsage
    duration_seconds: float = Field(description="From the arrival of the request.")


class PlainChatRequest(PlainRequest):
    """A question, without a history."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"prompt": "Name three rivers.", "max_tokens": 64}]}
    )

    prompt: str = Field(examples=["Name three rivers."])
    max_tokens: AnswerLength | None = Field(
        default=None,
        description="Tokens of the answer. Default: the server's setting. -1: to the end.",
    )
    n_predict: AnswerLength | None = Field(
        default=None, description="Another name for `max_tokens`, llama-server's."
    )


class PlainChatAnswer(AnswerModel):
    """What the model says to it."""

    response: str
