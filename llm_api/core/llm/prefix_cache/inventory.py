"""What is kept of prefixes, for an administrator: listed and deleted. Asked on the event loop."""

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Protocol, TypeVar

from llm_api.core.llm.observation import (
    CacheRoom,
    ForgottenPrefixes,
    KeptPrefix,
    KeptPrefixes,
    TierName,
)
from llm_api.core.llm.prefix_cache.prefix_cache import PrefixCache
from llm_api.core.llm.prefix_cache.stored import PINNED_SCOPE, StoredPrefix, key_of
from llm_api.core.llm.prefix_cache.tier import Tier

T = TypeVar("T")


class Run(Protocol):
    """Has a function called on the thread that owns the cache, and returns what it returns."""

    def __call__(self, function: Callable[[], T], /) -> Awaitable[T]: ...


class Inventory:
    """The prefixes of every model, in RAM and on disk."""

    def __init__(self, cache: PrefixCache, run: Run) -> None:
        self._cache = cache
        self._run = run
        self._tiers: dict[TierName, Tier] = {"ram": cache.ram, "disk": cache.disk}

    async def look(self, most: int) -> KeptPrefixes:
        """What there is, at most so many, those used last first."""
        return await self._run(partial(self._look, most))

    async def forget(self, key: str | None) -> ForgottenPrefixes:
        """Delete those of one key, or of all, in every tier and in idle slots; pinned ones stay.

        What a running request computes is not touched, and may be kept later.
        """

        def leaves(owner: str) -> bool:
            return owner != PINNED_SCOPE and key in (None, key_of(owner))

        return await self._run(partial(self._cache.forget, leaves))

    def _look(self, most: int) -> KeptPrefixes:
        found = sorted(self._cache.index, key=lambda one: one.last_used, reverse=True)
        rooms = [
            CacheRoom(name, tier.used, tier.room) for name, tier in self._tiers.items() if tier.room
        ]
        return KeptPrefixes(tuple(map(self._shown, found[:most])), len(found), tuple(rooms))

    def _shown(self, stored: StoredPrefix) -> KeptPrefix:
        return KeptPrefix(
            key=None if stored.is_pinned else key_of(stored.owner),
            model=self._cache.models.get(stored.fingerprint),
            fingerprint=stored.fingerprint,
            tokens=len(stored.tokens),
            bytes=stored.size,
            tiers=tuple(name for name, tier in self._tiers.items() if stored in tier),
            is_pinned=stored.is_pinned,
            retention=stored.retention,
            last_used=stored.last_used,
        )
