"""What Ollama says of models: the list, one in full, those in memory."""

from pydantic import ConfigDict, Field, JsonValue

from llm_api.api.models.base import (
    DEFAULT_MODEL_EXAMPLE,
    AnswerModel,
    ModelName,
    RequestModel,
)


class Details(AnswerModel):
    """What kind of model it is; empty where its backend does not tell."""

    parent_model: str
    format: str
    family: str
    families: list[str]
    parameter_size: str
    quantization_level: str


class ListedModel(AnswerModel):
    """A model by one of its names."""

    name: str
    model: str
    modified_at: str
    size: int
    digest: str = Field(description="Tells models apart. No hash of a file.")
    details: Details


class Tags(AnswerModel):
    models: list[ListedModel]


class RunningModel(AnswerModel):
    """A model in memory."""

    name: str
    model: str
    size: int
    digest: str
    details: Details
    expires_at: str = Field(description="When it is unloaded unless it is used before.")
    size_vram: int
    context_length: int


class Running(AnswerModel):
    models: list[RunningModel]


class ShowRequest(RequestModel):
    """Which model to describe. `verbose` adds nothing here: vocabularies are not sent."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"model": DEFAULT_MODEL_EXAMPLE}]})

    model: ModelName | None = Field(default=None, description="Required.")
    name: ModelName | None = Field(default=None, description="Older name of `model`.")
    verbose: bool | None = None


class Shown(AnswerModel):
    """A model in full."""

    modelfile: str
    parameters: str = Field(description="Options that hold where a request says nothing.")
    template: str = Field(description="The chat template, in Jinja's notation.")
    details: Details
    model_info: dict[str, JsonValue]
    capabilities: list[str]
    modified_at: str


class Version(AnswerModel):
    version: str = Field(description="The version of Ollama whose API this is.")
    server: str
