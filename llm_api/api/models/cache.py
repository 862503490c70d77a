"""Computed prefixes that are kept, and those that were deleted."""

from typing import Literal

from pydantic import Field

from llm_api.api.models.base import AnswerModel


class CachedPrefix(AnswerModel):
    """A computed prefix. What it says is not shown."""

    object: Literal["cache.prefix"]
    key: str | None = Field(description="The name of the API key whose it is; null: everybody's.")
    model: str | None = Field(description="Null where its model was not loaded since the start.")
    fingerprint: str = Field(description="Stands for the model's file and how it is opened.")
    tokens: int
    bytes: int
    tiers: list[Literal["ram", "disk"]] = Field(description="Where it is.")
    pinned: bool
    retention: Literal["in_memory", "24h"] | None
    last_used: int = Field(description="Unix seconds.")


class CacheTier(AnswerModel):
    """How much of a tier is taken, by the prefixes of all models."""

    name: Literal["ram", "disk"]
    used_bytes: int
    room_bytes: int


class CachedPrefixList(AnswerModel):
    """The prefixes that are kept, those used last first."""

    object: Literal["list"]
    worker: str | None = Field(
        description="Whose they are, with several workers: each knows its own alone; else null."
    )
    tiers: list[CacheTier] = Field(description="Those that there are.")
    data: list[CachedPrefix]
    has_more: bool


class ClearedCache(AnswerModel):
    """What is gone."""

    object: Literal["cache.deleted"]
    deleted: int = Field(description="Prefixes.")
    bytes: int
