"""The answers of the health endpoints."""

from typing import Literal

from pydantic import Field

from llm_api.api.models.base import AnswerModel


class Health(AnswerModel):
    """The process is alive and its event loop turns."""

    status: Literal["healthy"]
    service: str = Field(examples=["llm_api"])
    version: str = Field(examples=["0.1.0"])
    models: list[str] = Field(description="Ids of the models this server has.")
    uptime_seconds: float


class Readiness(AnswerModel):
    """Whether a generation would be accepted now."""

    status: Literal["ready", "not_ready"]
    models: list[str] = Field(description="Ids of the models this server has.")
