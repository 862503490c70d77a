"""Recorded answers in the memory of this process, kept for a time."""

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class _Entry:
    answer: bytes
    expires_at: float


class MemoryAnswers:
    """At most `max_bytes` of keys and answers, each for `seconds`; the longest unused go first."""

    def __init__(
        self, max_bytes: int, seconds: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._max_bytes = max_bytes
        self._seconds = seconds
        self._clock = clock
        self._entries: OrderedDict[str, _Entry] = OrderedDict()
        self._bytes = 0

    async def get(self, key: str) -> bytes | None:
        entry = self._entries.get(key)
        if entry is None:
            return None
        if entry.expires_at <= self._clock():
            self._remove(key)
            return None
        self._entries.move_to_end(key)
        return entry.answer

    async def put(self, key: str, answer: bytes) -> None:
        if key in self._entries:
            self._remove(key)
        self._entries[key] = _Entry(answer, self._clock() + self._seconds)
        self._bytes += len(key) + len(answer)
        while self._bytes > self._max_bytes:
            self._remove(next(iter(self._entries)))

    def _remove(self, key: str) -> None:
        self._bytes -= len(key) + len(self._entries.pop(key).answer)
