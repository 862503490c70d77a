"""What was worked out a moment ago, for who asks on from there. Lives on one event loop."""

import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


class Recent(Generic[Key, Value]):
    """The latest `most` values, each for `seconds` from when it was put here."""

    def __init__(
        self, most: int, seconds: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._most = most
        self._seconds = seconds
        self._clock = clock
        self._kept: OrderedDict[Key, tuple[float, Value]] = OrderedDict()

    def get(self, key: Key) -> Value | None:
        put_at, value = self._kept.get(key, (float("-inf"), None))
        if self._clock() - put_at > self._seconds:
            self._kept.pop(key, None)
            return None
        return value

    def put(self, key: Key, value: Value) -> None:
        self._kept.pop(key, None)
        self._kept[key] = self._clock(), value
        while len(self._kept) > self._most:
            self._kept.popitem(last=False)
