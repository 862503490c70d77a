"""Threads: responses that go on from one another. An extension of this server."""

from typing import Any, Literal

from pydantic import Field

from llm_api.api.models.base import AnswerModel


class ListedThread(AnswerModel):
    """A response that goes on from none that is kept, and all that go on from it."""

    id: str = Field(description="That of its first response.")
    object: Literal["response.thread"]
    title: str = Field(description="What it begins with, cut.")
    created_at: int = Field(description="Unix seconds.")
    updated_at: int = Field(description="When a response of it began or ended last.")
    responses: int
    status: Literal["in_progress", "ended"] = Field(
        description="Whether a response of it is being made."
    )


class ThreadList(AnswerModel):
    """A page of threads; what changed last comes first."""

    object: Literal["list"]
    data: list[ListedThread]
    first_id: str
    last_id: str
    has_more: bool


class ThreadTurn(AnswerModel):
    """A response, and the items that it answers."""

    input: list[dict[str, Any]]
    response: dict[str, Any]


class Thread(AnswerModel):
    """All that was said, by all branches: `previous_response_id` says what goes on from what."""

    id: str
    object: Literal["response.thread"]
    data: list[ThreadTurn] = Field(description="Oldest first.")


class DeletedThread(AnswerModel):
    id: str
    object: Literal["response.thread.deleted"]
    deleted: Literal[True]
    responses: int
