"""Counts that several processes share, in Redis.

Each method is one script or command, so it happens whole. Names are put as they are into keys of
Redis, behind a prefix; a text in braces in them keeps what is counted together on one node of a
cluster.
"""

import time
from collections.abc import Awaitable, Callable, Generator, Sequence
from contextlib import contextmanager
from typing import Any

from redis.exceptions import RedisError

from llm_api.core.access.counters import Count, Counted, CountersUnavailableError
from llm_api.core.utils.redis_client import KEY_PREFIX, open_redis

# KEYS: the counts. ARGV: whether forced; then amount, limit and lifetime of each.
_ADD = """
local granted, used = 1, {}
for i, key in ipairs(KEYS) do
  used[i] = tonumber(redis.call('GET', key) or '0')
  local amount = tonumber(ARGV[3 * i - 1])
  if amount > 0 and used[i] + amount > tonumber(ARGV[3 * i]) then granted = 0 end
end
if granted == 1 or ARGV[1] == '1' then
  granted = 1
  for i, key in ipairs(KEYS) do
    used[i] = redis.call('INCRBY', key, ARGV[3 * i - 1])
    if redis.call('TTL', key) < 0 then redis.call('EXPIRE', key, ARGV[3 * i + 1]) end
  end
end
return {granted, unpack(used)}
"""

# KEYS: the group, a set sorted by when each member leaves. ARGV: member, limit, now, lifetime.
_ENTER = """
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', ARGV[3])
if redis.call('ZCARD', KEYS[1]) >= tonumber(ARGV[2]) then return 0 end
redis.call('ZADD', KEYS[1], ARGV[3] + ARGV[4], ARGV[1])
redis.call('EXPIRE', KEYS[1], ARGV[4])
return 1
"""


class RedisCounters:
    """Connects with the first call, and again after a connection was lost."""

    def __init__(self, url: str, clock: Callable[[], float] = time.time) -> None:
        self._redis = open_redis(url)
        self._clock = clock
        self._add: Callable[..., Awaitable[Any]] = self._redis.register_script(_ADD)
        self._enter: Callable[..., Awaitable[Any]] = self._redis.register_script(_ENTER)

    async def add(self, counts: Sequence[Count], *, is_forced: bool = False) -> Counted:
        arguments = [int(is_forced)]
        for count in counts:
            arguments += [count.amount, count.limit, count.keep_seconds]
        with _reaching():
            granted, *used = await self._add(
                [KEY_PREFIX + count.name for count in counts], arguments
            )
        return Counted(bool(granted), tuple(used))

    async def enter(self, name: str, member: str, limit: int, keep_seconds: int) -> bool:
        with _reaching():
            entered = await self._enter(
                [KEY_PREFIX + name], [member, limit, self._clock(), keep_seconds]
            )
        return bool(entered)

    async def leave(self, name: str, member: str) -> None:
        with _reaching():
            await self._redis.zrem(KEY_PREFIX + name, member)

    async def aclose(self) -> None:
        await self._redis.aclose()


@contextmanager
def _reaching() -> Generator[None, None, None]:
    try:
        yield
    except (RedisError, OSError) as error:
        raise CountersUnavailableError(
            "The limits of keys cannot be checked at the moment; try again."
        ) from error
