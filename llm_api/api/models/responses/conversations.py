"""Conversations, and what is sent to change one."""

from typing import Annotated, Literal

from pydantic import ConfigDict, Field, JsonValue

from llm_api.api.models.base import AnswerModel, RequestModel
from llm_api.api.models.responses.items import InputItem
from llm_api.api.models.responses.parameters import Metadata

NewItems = Annotated[list[InputItem], Field(max_length=20, fail_fast=True)]


_ITEM: dict[str, JsonValue] = {"type": "message", "role": "user", "content": "Hello."}


class CreateConversation(RequestModel):
    model_config = ConfigDict(
        json_schema_extra={"examples": [{"items": [_ITEM], "metadata": {"topic": "greetings"}}]}
    )

    metadata: Metadata | None = None
    items: NewItems | None = None


class UpdateConversation(RequestModel):
    metadata: Metadata | None = Field(
        description="Replaces what there is.", examples=[{"topic": "farewells"}]
    )


class AddItems(RequestModel):
    items: NewItems = Field(examples=[[_ITEM]])


class ConversationObject(AnswerModel):
    id: str
    object: Literal["conversation"]
    created_at: int = Field(description="Unix seconds.")
    metadata: dict[str, str]


class DeletedConversation(AnswerModel):
    id: str
    object: Literal["conversation.deleted"]
    deleted: Literal[True]
