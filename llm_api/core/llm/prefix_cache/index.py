"""Finds stored prefixes by their tokens. A hash finds, the tokens decide."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from llm_api.core.llm.prefix_cache.stored import (
    StoredPrefix,
    Tokens,
    block_hashes,
    common_length,
)

MOST_COMPARED: Final = 64
"""Prefixes with one hash whose tokens are compared: of more, those that came last."""


@dataclass(frozen=True, slots=True)
class StoredMatch:
    """The first `length` tokens asked for are the first of `stored`."""

    stored: StoredPrefix
    length: int


class PrefixIndex:
    """Every stored prefix, once, wherever its state lies."""

    def __init__(self) -> None:
        self._by_hash: dict[bytes, dict[int, StoredPrefix]] = {}
        self._stored: dict[int, StoredPrefix] = {}

    def __iter__(self) -> Iterator[StoredPrefix]:
        return iter(list(self._stored.values()))

    def __contains__(self, stored: StoredPrefix) -> bool:
        return id(stored) in self._stored

    def add(self, stored: StoredPrefix) -> None:
        self._stored[id(stored)] = stored
        for one in block_hashes(stored.fingerprint, stored.scope, stored.tokens):
            self._by_hash.setdefault(one, {})[id(stored)] = stored

    def remove(self, stored: StoredPrefix) -> None:
        if self._stored.pop(id(stored), None) is None:
            return
        for one in block_hashes(stored.fingerprint, stored.scope, stored.tokens):
            found = self._by_hash[one]
            del found[id(stored)]
            if not found:
                del self._by_hash[one]

    def longest(
        self,
        fingerprint: str,
        scope: str,
        tokens: Tokens,
        allows: Callable[[StoredPrefix, int], bool],
    ) -> StoredMatch | None:
        """The longest stored beginning of `tokens` that is allowed, of those the smallest. Pure.

        `allows` is asked with how many tokens are equal.
        """
        known = []
        for one in block_hashes(fingerprint, scope, tokens):
            if (found := self._by_hash.get(one)) is None:
                break
            known.append(found)
        for found in reversed(known):
            matches = [
                StoredMatch(stored, length)
                for stored in list(found.values())[-MOST_COMPARED:]
                if (length := common_length(stored.tokens, tokens))
                and stored.scope == scope
                and stored.fingerprint == fingerprint
                and allows(stored, length)
            ]
            if matches:
                return max(matches, key=lambda match: (match.length, -match.stored.size))
        return None
