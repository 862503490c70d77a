"""Counts that several requests, or several processes, draw on. Knows no key and no clock.

All counts change in one step or none does, so requests that arrive together cannot pass a limit
together.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from llm_api.core.errors import UnavailableError


class CountersUnavailableError(UnavailableError):
    """The server that keeps the counts does not answer."""

    code = "rate_limits_unavailable"


@dataclass(frozen=True, slots=True)
class Count:
    """An `amount` to add to what is counted under `name`, which may not pass `limit`.

    An amount of 0 only looks: it fits whatever is counted.
    The count may be forgotten `keep_seconds` after its first use.
    """

    name: str
    amount: int
    limit: int
    keep_seconds: int


@dataclass(frozen=True, slots=True)
class Counted:
    """Whether the amounts were added, and how much is used, in the order of the counts."""

    is_granted: bool
    used: tuple[int, ...]


class Counters(Protocol):
    """Every method raises CountersUnavailableError where the counts cannot be reached."""

    async def add(self, counts: Sequence[Count], *, is_forced: bool = False) -> Counted:
        """Add all amounts, or none where one would pass its limit and this is not forced."""
        ...

    async def enter(self, name: str, member: str, limit: int, keep_seconds: int) -> bool:
        """Add a member to a group of at most `limit`; it leaves by itself after `keep_seconds`."""
        ...

    async def leave(self, name: str, member: str) -> None:
        """Take a member out of a group. Nothing happens if it is not in there."""
        ...

    async def aclose(self) -> None: ...


class MemoryCounters:
    """Counts of one process. No call ever waits."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._counts: dict[str, tuple[int, float]] = {}
        self._groups: dict[str, dict[str, float]] = {}
        self._sweep_at = 0.0

    async def add(self, counts: Sequence[Count], *, is_forced: bool = False) -> Counted:
        now = self._clock()
        self._sweep(now)
        kept = [self._counts.get(count.name, (0, now + count.keep_seconds)) for count in counts]
        kept = [
            (0, now + count.keep_seconds) if ends <= now else (used, ends)
            for count, (used, ends) in zip(counts, kept, strict=True)
        ]
        fits = (
            count.amount == 0 or used + count.amount <= count.limit
            for count, (used, _) in zip(counts, kept, strict=True)
        )
        if not (is_forced or all(fits)):
            return Counted(False, tuple(used for used, _ in kept))
        for count, (used, ends) in zip(counts, kept, strict=True):
            self._counts[count.name] = (used + count.amount, ends)
        return Counted(True, tuple(self._counts[count.name][0] for count in counts))

    async def enter(self, name: str, member: str, limit: int, keep_seconds: int) -> bool:
        now = self._clock()
        group = {one: ends for one, ends in self._groups.get(name, {}).items() if ends > now}
        if len(group) >= limit:
            return False
        self._groups[name] = group | {member: now + keep_seconds}
        return True

    async def leave(self, name: str, member: str) -> None:
        group = self._groups.get(name, {})
        group.pop(member, None)
        if not group:
            self._groups.pop(name, None)

    async def aclose(self) -> None:
        """Nothing to close."""

    def _sweep(self, now: float) -> None:
        """Forget, once a minute, the counts that have ended."""
        if now >= self._sweep_at:
            self._sweep_at = now + 60
            self._counts = {name: kept for name, kept in self._counts.items() if kept[1] > now}
