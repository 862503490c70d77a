"""The one way in which Redis is opened."""

from typing import Final

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

TIMEOUT_SECONDS: Final = 1.0
"""How long one attempt to reach Redis may take; there are two, as a connection may be stale."""

KEY_PREFIX: Final = "llm_api:"
"""Before every key, as others may use the same Redis."""


def open_redis(url: str) -> Redis:
    """A client that connects with the first call, and again after a connection was lost."""
    return Redis.from_url(
        url,
        socket_timeout=TIMEOUT_SECONDS,
        socket_connect_timeout=TIMEOUT_SECONDS,
        retry=Retry(NoBackoff(), 1),
    )
