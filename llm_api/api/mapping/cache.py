"""Kept prefixes, domain to wire. Pure."""

from llm_api.api.models import cache as wire
from llm_api.core.llm.observation import CacheRoom, ForgottenPrefixes, KeptPrefix, KeptPrefixes


def to_prefix_list(kept: KeptPrefixes, worker: str | None) -> wire.CachedPrefixList:
    return wire.CachedPrefixList(
        object="list",
        worker=worker,
        tiers=[_tier(one) for one in kept.rooms],
        data=[_prefix(one) for one in kept.prefixes],
        has_more=kept.count > len(kept.prefixes),
    )


def to_cleared(forgotten: ForgottenPrefixes) -> wire.ClearedCache:
    return wire.ClearedCache(
        object="cache.deleted", deleted=forgotten.prefixes, bytes=forgotten.bytes
    )


def _tier(room: CacheRoom) -> wire.CacheTier:
    return wire.CacheTier(name=room.tier, used_bytes=room.used_bytes, room_bytes=room.room_bytes)


def _prefix(kept: KeptPrefix) -> wire.CachedPrefix:
    return wire.CachedPrefix(
        object="cache.prefix",
        key=kept.key or None,
        model=kept.model,
        fingerprint=kept.fingerprint,
        tokens=kept.tokens,
        bytes=kept.bytes,
        tiers=list(kept.tiers),
        pinned=kept.is_pinned,
        retention=kept.retention,
        last_used=int(kept.last_used),
    )
