"""What the server tells of itself: its health, a model in full, and the settings in force."""

from datetime import datetime
from typing import Literal

from pydantic import Field, JsonValue

from llm_api.api.models.base import DEFAULT_MODEL_EXAMPLE, AnswerModel
from llm_api.core.llm.residency.plan import ModelState


class RequestLogHealth(AnswerModel):
    """Whether requests are written down. They are answered all the same."""

    problem: str | None = Field(description="Why nothing is written at present; null: it is.")
    dropped: int = Field(description="Lines lost since the start.")


class Health(AnswerModel):
    """The process is alive and its event loop turns."""

    status: Literal["healthy"]
    service: str = Field(examples=["llm_api"])
    version: str = Field(examples=["0.1.0"])
    backend: str = Field(description="What runs the first model.", examples=["llama"])
    model: str = Field(description="The first model.", examples=[DEFAULT_MODEL_EXAMPLE])
    models: list[str] = Field(description="Ids of the models this server has.")
    timestamp: datetime
    uptime_seconds: float
    request_log: RequestLogHealth


class Readiness(AnswerModel):
    """Whether a generation would be accepted now."""

    status: Literal["ready", "not_ready"]
    models: list[str] = Field(description="Ids of the models this server has.")


class ModelInfo(AnswerModel):
    """One model. Null is what is not known of it."""

    name: str = Field(examples=[DEFAULT_MODEL_EXAMPLE])
    backend: str = Field(description="What runs it.", examples=["llama"])
    architecture: str | None = Field(examples=["llama"])
    parameters: int | None = Field(examples=[134515008])
    quantisation: str | None = Field(examples=["Q4_1"])
    weights: str | None = Field(
        description="Name of the file that is run: the model's own, or one kept beside it because"
        " it is faster here and as good.",
        examples=["SmolLM2-135M-Instruct.Q8_0.gguf"],
    )
    context_length: int | None = Field(description="Tokens of prompt and answer together.")
    training_context_length: int | None = Field(description="What the model was made for.")
    size_bytes: int | None = Field(description="Of its file or files.")
    loaded: bool = Field(description="Whether it is in memory. If not, a request loads it.")
    state: ModelState = Field(description="`failed`: the last load failed.")


class Configuration(AnswerModel):
    """The settings in force, without any secret."""

    settings: dict[str, JsonValue] = Field(description="By their names in the environment.")
    models: dict[str, JsonValue] = Field(description="Those of the configuration file.")
    mcp_servers: dict[str, JsonValue] = Field(description="Those of the configuration file.")
