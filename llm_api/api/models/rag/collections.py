"""Collections: documents under one name, with the vectors of one embedding model."""

from typing import Literal

from pydantic import Field

from llm_api.api.models.base import AnswerModel, RequestModel
from llm_api.api.models.rag.fields import CollectionName


class NewCollection(RequestModel):
    """A collection for the vectors of this server's embedding model."""

    name: CollectionName = Field(examples=["manuals"])


class Collection(AnswerModel):
    """A collection, and whose vectors it holds.

    `word_rule` says how its words are cut for search: 2 knows every script and normal form. One
    made by an earlier version has 1 until `llm-api rag reindex`. A damaged one says in `damage`
    what has happened to its files; it can be deleted, and is ready again when they are back.
    """

    name: str
    object: Literal["rag.collection"]
    embedding_model: str
    dimension: int
    word_rule: int
    status: Literal["ready", "damaged"]
    damage: str | None
    documents: int | None
    chunks: int | None


class CollectionList(AnswerModel):
    object: Literal["list"]
    data: list[Collection]


class DeletedCollection(AnswerModel):
    name: str
    object: Literal["rag.collection.deleted"]
    deleted: bool
