"""The answers of the health endpoints."""

from datetime import datetime
from typing import Literal

from pydantic import Field

from llm_api.api.models.base import DEFAULT_MODEL_EXAMPLE, AnswerModel


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
