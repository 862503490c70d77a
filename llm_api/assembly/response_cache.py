"""The composition root of the response cache: where the settings say that answers are kept."""

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing, asynccontextmanager
from functools import partial
from importlib.metadata import version
from typing import TypeAlias

from llm_api.config.settings import Settings
from llm_api.core.llm.backend import Backend
from llm_api.core.llm.gateway.response_cache.answers import Answers, MemoryAnswers
from llm_api.core.llm.gateway.response_cache.backend import CachingBackend

Wrap: TypeAlias = Callable[[Backend], Backend]


@asynccontextmanager
async def open_response_cache(settings: Settings) -> AsyncGenerator[Wrap | None, None]:
    """What puts the cache before a backend; None where it is off. Connects to nothing yet."""
    if settings.response_cache == "off":
        yield None
        return
    async with aclosing(_answers(settings)) as answers:
        yield partial(CachingBackend, answers=answers, version=version("llm_api"))


def _answers(settings: Settings) -> Answers:
    if settings.response_cache == "memory" or settings.redis_url is None:
        return MemoryAnswers(settings.response_cache_bytes, settings.response_cache_seconds)
    # Imported where it is chosen: it takes longer than a start without it should.
    from llm_api.core.llm.gateway.response_cache.redis_answers import RedisAnswers

    return RedisAnswers(settings.redis_url.get_secret_value(), settings.response_cache_seconds)
