"""Text to fill in between two others, in the form of llama.cpp's server."""

from typing import Annotated, Literal

from pydantic import ConfigDict, Field, StringConstraints

from llm_api.api.models import foreign
from llm_api.api.models.base import AnswerModel, ModelName, RequestModel
from llm_api.api.models.generation import (
    PromptProgress,
    ReturnProgress,
    SamplingParameters,
    Stop,
)

MAX_FILES = 256
Name = Annotated[str, StringConstraints(max_length=1024)]


class ExtraFile(RequestModel):
    """A file of the same project, or a part of one."""

    text: str
    filename: Name | None = None


class InfillRequest(SamplingParameters):
    """What stands before and after the text to write. Null means absent."""

    IGNORED = foreign.INFILL

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "input_prefix": "def add(a, b):\n",
                    "prompt": "    return ",
                    "input_suffix": "\n\nprint(add(1, 2))\n",
                    "n_predict": 16,
                }
            ]
        }
    )

    model: ModelName | None = Field(
        default=None, description="A model's id or alias. Default: the first of this server's."
    )
    input_prefix: str = Field(description="What stands before the line of the cursor.")
    input_suffix: str = Field(description="What stands after the cursor.")
    prompt: str | None = Field(
        default=None, description="The beginning of the line of the cursor, after the prefix."
    )
    input_extra: Annotated[list[ExtraFile], Field(max_length=MAX_FILES, fail_fast=True)] | None = (
        Field(
            default=None,
            description="Other files to know, the most important last: as many as fit.",
        )
    )
    n_predict: int | None = Field(
        default=None, ge=-1, le=2**31 - 1, description="Tokens of the answer; -1: to the end."
    )
    stop: Stop | None = Field(default=None, description="Strings that end the answer.")
    stream: bool | None = Field(default=None, description="Answer with server-sent events.")
    return_progress: ReturnProgress = None
    ignore_eos: bool | None = Field(default=None, description="Go on past the end of the text.")
    response_fields: Annotated[list[Name], Field(max_length=64)] | None = Field(
        default=None,
        description="What a whole answer holds alone, such as `content` or `timings/prompt_n`.",
    )


class InfillTimings(AnswerModel):
    """Tokens that were computed, and milliseconds."""

    cache_n: int = Field(description="Tokens of the prompt that were not computed again.")
    prompt_n: int
    prompt_ms: float
    predicted_n: int
    predicted_ms: float


class InfillAnswer(AnswerModel):
    """The text between, whole; or one frame of a stream, of which the last has the counts."""

    index: int
    content: str
    stop: bool = Field(description="Whether this is the whole, or the last frame.")
    model: str | None = None
    tokens_predicted: int | None = None
    tokens_evaluated: int | None = Field(default=None, description="Tokens of the prompt.")
    tokens_cached: int | None = Field(default=None, description="Of both together, now kept.")
    stop_type: Literal["eos", "limit"] | None = Field(
        default=None, description="`eos` also where a stop string has ended it."
    )
    timings: InfillTimings | None = None
    prompt_progress: PromptProgress | None = None


class ChosenFields(AnswerModel):
    """Some fields of an answer, by the paths that were asked for."""

    model_config = ConfigDict(extra="allow")
