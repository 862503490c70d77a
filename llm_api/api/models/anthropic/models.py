"""The models resource as Anthropic's clients read it."""

from typing import Literal

from pydantic import Field

from llm_api.api.models.base import AnswerModel


class ModelEntry(AnswerModel):
    id: str
    type: Literal["model"]
    display_name: str
    created_at: str = Field(description="RFC 3339.")
    max_input_tokens: int | None
    max_tokens: int | None


class ModelPage(AnswerModel):
    data: list[ModelEntry]
    has_more: bool
    first_id: str | None
    last_id: str | None
