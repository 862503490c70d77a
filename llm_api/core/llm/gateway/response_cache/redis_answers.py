"""Recorded answers in Redis, which several processes share. Redis bounds them: its `maxmemory`."""

import logging
import time
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from redis.exceptions import RedisError

from llm_api.core.utils.redis_client import KEY_PREFIX, open_redis

log = logging.getLogger(__name__)

Answer = TypeVar("Answer")

REST_SECONDS: Final = 5.0
"""How long Redis is not asked after it failed: every request would wait for it in vain."""


class RedisAnswers:
    """Each answer is kept for `seconds`. While Redis is away there is nothing, as if none were."""

    def __init__(self, url: str, seconds: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._redis = open_redis(url)
        self._seconds = seconds
        self._clock = clock
        self._is_away = False
        self._rests_until = 0.0

    async def get(self, key: str) -> bytes | None:
        answer = await self._reached(lambda: self._redis.get(_name(key)))
        return answer if isinstance(answer, bytes) else None

    async def put(self, key: str, answer: bytes) -> None:
        await self._reached(lambda: self._redis.set(_name(key), answer, ex=self._seconds))

    async def aclose(self) -> None:
        await self._redis.aclose()

    async def _reached(self, call: Callable[[], Awaitable[Answer]]) -> Answer | None:
        """What Redis answers; None while it is away, which is logged when it begins."""
        if self._is_away and self._clock() < self._rests_until:
            return None
        try:
            answer = await call()
        except (RedisError, OSError) as error:
            if not self._is_away:
                log.warning("the response cache is away, every answer is generated: %r", error)
            self._is_away = True
            self._rests_until = self._clock() + REST_SECONDS
            return None
        self._is_away = False
        return answer


def _name(key: str) -> str:
    return f"{KEY_PREFIX}answer:{key}"
