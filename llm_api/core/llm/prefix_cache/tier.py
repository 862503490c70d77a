"""How much of a tier is taken, by whom, and who gives up what when it is full."""

from collections import Counter
from collections.abc import Sequence
from typing import Final

from llm_api.core.llm.prefix_cache.stored import PINNED_SCOPE, StoredPrefix

PINNED_PART: Final = 2
"""Pinned prefixes take at most this part of a tier: a half."""


class Tier:
    """The prefixes that take room in RAM, or on disk: at most `room` bytes. Decides, moves nothing.

    When it is full, the owner that has most gives up what it has not used for longest, so that
    nobody can push another below an equal share. Pinned prefixes leave for other pinned ones alone.
    """

    def __init__(self, room: int) -> None:
        self.room = room
        self._members: dict[int, StoredPrefix] = {}

    def __contains__(self, stored: StoredPrefix) -> bool:
        return id(stored) in self._members

    @property
    def used(self) -> int:
        return sum(one.size for one in self._members.values())

    def members(self) -> list[StoredPrefix]:
        return list(self._members.values())

    def add(self, stored: StoredPrefix) -> None:
        self._members[id(stored)] = stored

    def remove(self, stored: StoredPrefix) -> None:
        self._members.pop(id(stored), None)

    def to_give_up(self, size: int, owner: str) -> list[StoredPrefix] | None:
        """What has to leave so that `size` bytes of an owner find room; None where they cannot.

        What is being moved stays: its bytes are in use.
        """
        free = [one for one in self._members.values() if not one.is_moving]
        pinned = [one for one in free if one.is_pinned]
        given: list[StoredPrefix] = []
        if owner == PINNED_SCOPE:
            held = sum(one.size for one in self._members.values() if one.is_pinned)
            given = _given(pinned, held + size - self.room // PINNED_PART, Counter())
            if held + size - _size(given) > self.room // PINNED_PART:
                return None
        used = Counter({owner: size})
        for one in self._members.values():
            used[one.owner] += one.size
        others = [one for one in free if not one.is_pinned]
        given += _given(others, self.used + size - _size(given) - self.room, used)
        return given if self.used + size - _size(given) <= self.room else None


def _size(stored: Sequence[StoredPrefix]) -> int:
    return sum(one.size for one in stored)


def _given(stored: Sequence[StoredPrefix], wanted: int, used: Counter[str]) -> list[StoredPrefix]:
    """So many bytes of these, each from the owner that then has most: what it used longest ago."""
    left: dict[str, list[StoredPrefix]] = {}
    for one in sorted(stored, key=lambda one: one.last_used, reverse=True):
        left.setdefault(one.owner, []).append(one)
    given: list[StoredPrefix] = []
    while wanted > 0 and left:
        largest = max(left, key=lambda owner: used[owner])
        given.append(left[largest].pop())
        if not left[largest]:
            del left[largest]
        used[largest] -= given[-1].size
        wanted -= given[-1].size
    return given
