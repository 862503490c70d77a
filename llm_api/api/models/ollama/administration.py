"""Ollama's resources that change which models there are: requests, and the lines of a pull."""

from pydantic import ConfigDict, Field

from llm_api.api.models import foreign
from llm_api.api.models.base import DEFAULT_MODEL_EXAMPLE, AnswerModel, ModelName, RequestModel

_EXAMPLE = "hf.co/Qwen/Qwen2.5-0.5B-Instruct-GGUF:Q4_K_M"


class OllamaNamed(RequestModel):
    """A request about one model."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"model": _EXAMPLE}]})

    model: ModelName | None = None
    name: ModelName | None = Field(default=None, description="Older name of `model`.")


class OllamaPull(OllamaNamed):
    """Which model is to be fetched from the hub that this server is set to."""

    IGNORED = foreign.OLLAMA_PULL

    stream: bool | None = Field(default=None, description="Answer line by line. Default `true`.")


class OllamaCopy(RequestModel):
    """A further name for a model. No file is copied."""

    source: ModelName = Field(examples=[DEFAULT_MODEL_EXAMPLE])
    destination: ModelName = Field(examples=["gpt-4o-mini"])


class PullLine(AnswerModel):
    """One line of a pull's stream, or its whole answer. Sizes are in bytes."""

    status: str = Field(examples=["success"])
    digest: str = ""
    total: int = 0
    completed: int = 0
