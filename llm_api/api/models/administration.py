"""What an administrator asks of models, and pulls: models on their way from the hub."""

from typing import Literal

from pydantic import Field

from llm_api.api.models.base import DEFAULT_MODEL_EXAMPLE, AnswerModel, ModelName, RequestModel
from llm_api.core.llm.administration.pulls import PullState


class LoadModel(RequestModel):
    """Which model is to be in memory."""

    model: ModelName = Field(examples=[DEFAULT_MODEL_EXAMPLE])
    pinned: bool = Field(
        default=False,
        description="Keep it there: neither idleness nor another model's need of room unloads it.",
    )


class UnloadModel(RequestModel):
    """Which model is to leave memory."""

    model: ModelName = Field(examples=[DEFAULT_MODEL_EXAMPLE])


class PullModel(RequestModel):
    """Which model is to be fetched from the hub that the server is set to."""

    model: ModelName = Field(
        description="`owner/repository/file.gguf`, or `owner/repository:Q4_K_M`, or"
        " `owner/repository`.",
        examples=["Qwen/Qwen2.5-0.5B-Instruct-GGUF/qwen2.5-0.5b-instruct-q4_k_m.gguf"],
    )


class ModelPull(AnswerModel):
    """A pull, under way or ended."""

    id: str
    object: Literal["model.pull"]
    model: str = Field(description="What was asked for.")
    repository: str
    file: str
    state: PullState
    bytes_done: int
    bytes_total: int = Field(description="0 until the hub has told.")
    bytes_per_second: int | None = Field(description="The mean since the transfer began.")
    served_as: str | None = Field(description="The model's id, once it is here.")
    error: str | None
    created_at: int = Field(description="Unix seconds, as the others.")
    started_at: int | None
    ended_at: int | None


class ModelPullList(AnswerModel):
    """Pulls that have not ended, and the last that have; the newest first."""

    object: Literal["list"]
    data: list[ModelPull]


class DeletedModelAnswer(AnswerModel):
    """What is gone. `freed_bytes` is 0 for a name that was given to a model, which stays."""

    id: str
    object: Literal["model"]
    deleted: Literal[True]
    freed_bytes: int
