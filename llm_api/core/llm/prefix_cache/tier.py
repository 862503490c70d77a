"""How much of a tier is taken, by whom, and who gives up what when it is full."""

from collections import Counter
from collections.abc import Sequence, Set
from typing import Final

from llm_api.core.llm.prefix_cache.stored import PINNED_SCOPE, StoredPrefix

PINNED_PART: Final = 2
"""Pinned prefixes take at most this part of a tier: a half."""

RETAINED_PART: Final = 2
"""The part of an owner's equal share in which `24h` makes prefixes leave last: a half."""


class Tier:
    """The prefixes that take room in RAM, or on disk: at most `room` bytes. Decides, moves nothing.

    When it is full, the owner that has most gives up what it has not used for longest, so that
    nobody can push another below an equal share. Of an owner's, those that are to stay for a day
    leave last, but no more of them than take a half of an equal share: it can crowd itself out, and
    not others. Pinned prefixes leave for other pinned ones alone.
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
            given = _given(pinned, held + size - self.room // PINNED_PART, Counter(), set())
            if held + size - _size(given) > self.room // PINNED_PART:
                return None
        used = Counter({owner: size})
        for one in self._members.values():
            used[one.owner] += one.size
        others = [one for one in free if not one.is_pinned]
        given += _given(
            others, self.used + size - _size(given) - self.room, used, self._retained(len(used))
        )
        return given if self.used + size - _size(given) <= self.room else None

    def _retained(self, owners: int) -> set[int]:
        """The ids of those that leave last: of each of so many owners, what it used last."""
        left = dict.fromkeys(
            (one.owner for one in self._members.values()), self.room // RETAINED_PART // owners
        )
        found: set[int] = set()
        for one in sorted(self._members.values(), key=lambda one: one.last_used, reverse=True):
            if one.retention == "24h" and one.size <= left[one.owner]:
                left[one.owner] -= one.size
                found.add(id(one))
        return found


def _size(stored: Sequence[StoredPrefix]) -> int:
    return sum(one.size for one in stored)


def _given(
    stored: Sequence[StoredPrefix], wanted: int, used: Counter[str], retained: Set[int]
) -> list[StoredPrefix]:
    """So many bytes of these, each from the owner that then has most: what it used longest ago.

    Those `retained` leave after the others of their owner.
    """
    left: dict[str, list[StoredPrefix]] = {}
    for one in sorted(stored, key=lambda one: (id(one) in retained, one.last_used), reverse=True):
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
