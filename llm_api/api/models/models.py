"""The models resource: what can be asked for by name."""

from typing import Literal

from pydantic import Field

from llm_api.api.models.base import DEFAULT_MODEL_EXAMPLE, AnswerModel
from llm_api.core.llm.capabilities import Ability
from llm_api.core.llm.residency.plan import ModelState


class ModelCapabilities(AnswerModel):
    """What a model's backend honours; the rest is refused by name. `stop` always is."""

    abilities: list[Ability] = Field(
        description="`text` and `tokens`: raw prompts; `fill_in`: text between two others"
        " (`suffix`, `/infill`); `required_tools`: a call that must be made."
    )
    sampling: list[str] = Field(description="The parameters of sampling.")


class Model(AnswerModel):
    """One model. The fields after `owned_by` are extensions of this server."""

    id: str = Field(examples=[DEFAULT_MODEL_EXAMPLE])
    object: Literal["model"]
    created: int = Field(description="Unix seconds.")
    owned_by: str
    aliases: list[str] = Field(description="Other names this model answers to.")
    type: Literal["generation", "embedding"]
    backend: str | None = Field(default=None, description="What runs a model that generates.")
    capabilities: ModelCapabilities | None = None
    context_length: int | None = Field(
        description="Tokens of prompt and answer together, or of a text to embed; null until known."
    )
    dimensions: int | None = Field(
        default=None, description="Length of an embedding model's vectors; null until known."
    )
    tasks: list[str] = Field(default=[], description="What an embedding model takes as `task`.")
    size_bytes: int | None = Field(default=None, description="Of its files, where it runs here.")
    quantisation: str | None = None
    parameters: int | None = None
    pinned: bool = Field(
        default=False, description="Whether it stays in memory until somebody unloads it."
    )
    loaded: bool = Field(description="Whether it is in memory. If not, a request loads it.")
    state: ModelState = Field(description="`failed`: the last load failed.")


class ModelList(AnswerModel):
    """Every model of this server."""

    object: Literal["list"]
    data: list[Model]
