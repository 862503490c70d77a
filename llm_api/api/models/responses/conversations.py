"""Conversations, and what is sent to change one."""

from typing import Annotated, Literal

from pydantic import ConfigDict, Field, JsonValue

from llm_api.api.models.base import AnswerModel, RequestModel
from llm_api.api.models.responses.items import InputItem
from llm_api.api.models.responses.parameters import Metadata

NewItems = Annotated[list[InputItem], Field(max_length=20, fail_fast=True)]


_EXAMPLE: dict[str, JsonValue] = {"type": "message", "role": "user", "content": "Hello."}


def _example(**fields: JsonValue) -> ConfigDict:
    return ConfigDict(json_schema_extra={"examples": [fields]})


class CreateConversation(RequestModel):
    model_config = _example(items=[_EXAMPLE], metadata={"topic": "greetings"})

    metadata: Metadata | None = None
    items: NewItems | None = None


class UpdateConversation(RequestModel):
    model_config = _example(metadata={"topic": "farewells"})

    metadata: Metadata | None = Field(description="Replaces what there is.")


class AddItems(RequestModel):
    model_config = _example(items=[_EXAMPLE])

    items: NewItems


class ConversationObject(AnswerModel):
    id: str
    object: Literal["conversation"]
    created_at: int = Field(description="Unix seconds.")
    metadata: dict[str, str]


class DeletedConversation(AnswerModel):
    id: str
    object: Literal["conversation.deleted"]
    deleted: Literal[True]
