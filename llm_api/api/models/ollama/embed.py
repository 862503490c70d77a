"""Ollama's two resources that embed."""

from typing import Annotated

from pydantic import Discriminator, Field, Tag

from llm_api.api.models.base import AnswerModel, text_or_list
from llm_api.api.models.embeddings import MAX_INPUTS
from llm_api.api.models.ollama.options import ModelRequest

Texts = Annotated[
    Annotated[str, Tag("text")]
    | Annotated[list[str], Field(max_length=MAX_INPUTS, fail_fast=True), Tag("list")],
    Discriminator(
        text_or_list,
        custom_error_type="invalid_type",
        custom_error_message="Input should be a string or a list of strings",
    ),
]


class EmbedRequest(ModelRequest):
    """Texts to embed."""

    input: Texts = Field(examples=[["The river rose overnight.", "Water levels are up."]])
    truncate: bool | None = Field(
        default=None, description="Cut what is too long. Default `true`; `false` refuses it."
    )
    dimensions: int | None = Field(default=None, ge=1, le=2**31 - 1)


class EmbedAnswer(AnswerModel):
    """A vector for each text."""

    model: str
    embeddings: list[list[float]]
    total_duration: int
    load_duration: int
    prompt_eval_count: int


class OldEmbeddingRequest(ModelRequest):
    """One text to embed, in the older form."""

    prompt: str | None = Field(default=None, examples=["The river rose overnight."])


class OldEmbedding(AnswerModel):
    embedding: list[float]
