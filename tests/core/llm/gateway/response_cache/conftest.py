"""Where answers are kept, in every shape. Redis is a real one, or its tests are skipped."""

from collections.abc import AsyncGenerator
from contextlib import aclosing

import pytest

from llm_api.core.llm.gateway.response_cache.answers import Answers, MemoryAnswers
from llm_api.core.llm.gateway.response_cache.redis_answers import RedisAnswers


@pytest.fixture(params=["memory", "redis"])
async def answers(request: pytest.FixtureRequest) -> AsyncGenerator[Answers, None]:
    kept: Answers
    if request.param == "memory":
        kept = MemoryAnswers(max_bytes=10_000, seconds=60)
    else:
        kept = RedisAnswers(request.getfixturevalue("redis_url"), seconds=60)
    async with aclosing(kept):
        yield kept
