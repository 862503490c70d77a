"""The composition root of the response cache: where the settings say that answers are kept."""

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing, asynccontextmanager
from functools import partial
from importlib.metadata import version
from typing import TypeAlias

from llm_api.config.settings import Settings
from llm_api.core.llm.backend import Backend
from llm_api.core.llm.gateway.response_cache.backend import Answers, CachingBackend
from llm_api.core.llm.gateway.response_cache.memory_answers import MemoryAnswers

Wrap: TypeAlias = Callable[[Backend], Backend]


@asynccontextmanager
async def open_response_cache(settings: Settings) -> AsyncGenerator[Wrap | None, None]:
    """What puts the cache before a backend; None where it is off. Connects to nothing yet."""
    if settings.response_cache == "off":
        yield None
        return
    async with _open_answers(settings) as answers:
        yield partial(CachingBackend, answers=answers, version=version("llm_api"))


@asynccontextmanager
async def _open_answers(settings: Settings) -> AsyncGenerator[Answers, None]:
    seconds = settings.response_cache_seconds
    if settings.response_cache == "memory" or settings.redis_url is None:
        yield MemoryAnswers(settings.response_cache_bytes, seconds)
        return
    # Imported where it is chosen: it takes longer than a start without it should.
    from llm_api.core.llm.gateway.response_cache.redis_answers import RedisAnswers

    async with aclosing(RedisAnswers(settings.redis_url.get_secret_value(), seconds)) as answers:
        yield answers
