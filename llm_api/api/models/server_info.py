"""What is told of the server itself: a model in full, and the settings that hold."""

from pydantic import Field, JsonValue

from llm_api.api.models.base import DEFAULT_MODEL_EXAMPLE, AnswerModel
from llm_api.core.llm.residency.plan import ModelState


class ModelInfo(AnswerModel):
    """One model. Null is what is not known of it."""

    name: str = Field(examples=[DEFAULT_MODEL_EXAMPLE])
    backend: str = Field(description="What runs it.", examples=["llama"])
    architecture: str | None = Field(examples=["llama"])
    parameters: int | None = Field(examples=[134515008])
    quantisation: str | None = Field(examples=["Q4_1"])
    context_length: int | None = Field(description="Tokens of prompt and answer together.")
    training_context_length: int | None = Field(description="What the model was made for.")
    size_bytes: int | None = Field(description="Of its file or files.")
    loaded: bool = Field(description="Whether it is in memory. If not, a request loads it.")
    state: ModelState = Field(description="`failed`: the last load failed.")


class Configuration(AnswerModel):
    """The settings that hold, without any secret."""

    settings: dict[str, JsonValue] = Field(description="By their names in the environment.")
    models: dict[str, JsonValue] = Field(description="Those of the configuration file.")
    mcp_servers: dict[str, JsonValue] = Field(description="Those of the configuration file.")
