"""The models resource: what can be asked for by name."""

from typing import Literal

from pydantic import Field

from llm_api.api.models.base import DEFAULT_MODEL_EXAMPLE, AnswerModel


class Model(AnswerModel):
    """One model. `aliases` and `context_length` are extensions of this server."""

    id: str = Field(examples=[DEFAULT_MODEL_EXAMPLE])
    object: Literal["model"]
    created: int = Field(description="Unix seconds.")
    owned_by: str
    aliases: list[str] = Field(description="Other names this model answers to.")
    context_length: int = Field(description="Tokens of prompt and answer together.")


class ModelList(AnswerModel):
    """Every model of this server."""

    object: Literal["list"]
    data: list[Model]
