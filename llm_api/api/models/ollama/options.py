"""What requests of Ollama's form share: the model, its options, how long it stays in memory."""

from typing import Annotated, Any

from pydantic import BeforeValidator, Discriminator, Field, StringConstraints, Tag

from llm_api.api.models import foreign
from llm_api.api.models.base import DEFAULT_MODEL_EXAMPLE, ModelName, RequestModel, text_or_list
from llm_api.api.models.generation import SamplingParameters, StopString

MAX_STOPS = 64


def _whole(value: Any) -> Any:
    """A number without fraction as an integer, as Ollama reads it."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


WholeNumber = Annotated[int, BeforeValidator(_whole), Field(ge=-(2**31), le=2**31 - 1)]

Stop = Annotated[
    Annotated[StopString, Tag("text")]
    | Annotated[list[StopString], Field(max_length=MAX_STOPS, fail_fast=True), Tag("list")],
    Discriminator(
        text_or_list,
        custom_error_type="invalid_type",
        custom_error_message="Input should be a string or a list of strings",
    ),
]

KeepAlive = float | Annotated[str, StringConstraints(max_length=64)]


class Options(SamplingParameters):
    """How the answer is generated. Null means absent."""

    IGNORED = foreign.OLLAMA_OPTIONS

    num_predict: WholeNumber | None = Field(
        default=None, description="Tokens of the answer at most. 0 or less: to the end."
    )
    num_ctx: WholeNumber | None = Field(
        default=None,
        description="The model's context is set at the server. One that is asked larger is ignored"
        " by name.",
    )
    stop: Stop | None = Field(default=None, description="Strings that end the answer.")


class ModelRequest(RequestModel):
    """A request to a model."""

    model: ModelName = Field(
        description="A model's name, with or without a tag such as `:latest`.",
        examples=[DEFAULT_MODEL_EXAMPLE],
    )
    options: Options | None = None
    keep_alive: KeepAlive | None = Field(
        default=None,
        description="How long the model stays in memory: seconds, or a duration such as `5m`; 0:"
        " not at all; negative: for ever.",
    )
