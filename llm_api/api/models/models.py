"""The models resource: what can be asked for by name."""

from typing import Literal

from pydantic import Field

from llm_api.api.models.base import DEFAULT_MODEL_EXAMPLE, AnswerModel
from llm_api.core.llm.residency import ModelState


class Model(AnswerModel):
    """One model. What follows `owned_by` are extensions of this server."""

    id: str = Field(examples=[DEFAULT_MODEL_EXAMPLE])
    object: Literal["model"]
    created: int = Field(description="Unix seconds.")
    owned_by: str
    aliases: list[str] = Field(description="Other names this model answers to.")
    context_length: int = Field(description="Tokens of prompt and answer together.")
    loaded: bool = Field(description="Whether it is in memory. If not, a request loads it.")
    state: ModelState = Field(description="`failed`: the last load failed.")


class ModelList(AnswerModel):
    """Every model of this server."""

    object: Literal["list"]
    data: list[Model]
