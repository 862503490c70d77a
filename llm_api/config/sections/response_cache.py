"""Answers that are given again to equal requests."""

from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ByteSize, Field

from llm_api.config.sections.field_types import lower

CacheKind = Annotated[Literal["off", "memory", "redis"], BeforeValidator(lower)]


class ResponseCacheSettings(BaseModel):
    response_cache: CacheKind = Field(
        default="off",
        description="Where answers to requests at temperature 0 or with a seed are kept, to be"
        " given again: `off`, `memory`, or `redis` at `REDIS_URL`.",
    )
    response_cache_bytes: ByteSize = Field(
        default=ByteSize(64 * 1024 * 1024),
        ge=1024,
        description="Memory that they may take, such as `64MiB`. In Redis its `maxmemory` says it.",
    )
    response_cache_seconds: int = Field(
        default=3600, ge=1, description="How long an answer is kept."
    )
