"""Where answers are kept, in every shape. Redis is a real one, or its tests are skipped."""

from collections.abc import AsyncGenerator
from contextlib import aclosing

import pytest

from llm_api.core.llm.gateway.response_cache.backend import AnswerStore
from llm_api.core.llm.gateway.response_cache.memory_answers import MemoryAnswers
from llm_api.core.llm.gateway.response_cache.redis_answers import RedisAnswers


@pytest.fixture(params=["memory", "redis"])
async def answers(request: pytest.FixtureRequest) -> AsyncGenerator[AnswerStore, None]:
    if request.param == "memory":
        yield MemoryAnswers(max_bytes=10_000, seconds=60)
        return
    async with aclosing(RedisAnswers(request.getfixturevalue("redis_url"), seconds=60)) as answers:
        yield answers
