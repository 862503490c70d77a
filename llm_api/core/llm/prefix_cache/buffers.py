"""Memory for states, found before it is needed: fresh memory costs up to fifty times the copy.

To copy 143 MB, 5,000 tokens of a 1.5B model, takes 8 to 17 ms into memory that was used before, and
300 to 650 where the system has to find it: no running stream should wait for that. So what held
a state that is gone holds the next one, and where nothing fits a thread makes memory ready.
"""

import logging
import threading
import time
import weakref
from typing import Final

import numpy as np

from llm_api.core.llm.prefix_cache.stored import State

log = logging.getLogger(__name__)

SPARE_PART: Final = 8
"""A buffer is larger than its first state by this part of it, as a conversation grows."""

WIDEST: Final = 2
"""A state takes no buffer that is more than so many times its size."""

LEAST_PREPARED: Final = 4_000_000
"""Bytes below which memory is found in no time."""

PIECE_BYTES: Final = 1 << 20
PAGE_BYTES: Final = 4096

PAUSE_SECONDS: Final = 0.005
"""Between the MBs that are made ready while models may be computing."""


class Buffers:
    """Hands out memory on one thread. It comes back by itself, once nobody reads the state."""

    def __init__(self, most_spare: int) -> None:
        """At most `most_spare` bytes are held for later."""
        self._most_spare = most_spare
        self._spare: dict[int, State] = {}  # changed on any thread, by one operation at a time
        self._expected = 0  # bytes that a thread makes ready
        self.is_hurried = False
        self._is_closed = False

    def take(self, size: int) -> State:
        """So many bytes, of any content. Raises MemoryError."""
        fitting = [one for one in list(self._spare.values()) if _fits(one, size)]
        buffer = min(fitting, key=len, default=None)
        if buffer is None or self._spare.pop(id(buffer), None) is None:
            buffer = np.empty(size + size // SPARE_PART, dtype=np.uint8)
        state = buffer[:size]
        weakref.finalize(state, self._give_back, buffer).atexit = False
        return state

    def is_ready(self, size: int) -> bool:
        """Whether so many bytes are at hand, or will not be made ready."""
        is_small = size < LEAST_PREPARED or size + size // SPARE_PART > self._most_spare
        return is_small or any(_fits(one, size) for one in list(self._spare.values()))

    def expect(self, size: int) -> None:
        """Have so many bytes made ready, unless they are, or others are just now."""
        if self._expected or self._is_closed or self.is_ready(size):
            return
        self._expected = size + size // SPARE_PART
        threading.Thread(target=self._make_ready, name="kv-memory").start()

    def close(self) -> None:
        """Make nothing ready any more. Idempotent."""
        self._is_closed = True

    def _make_ready(self) -> None:
        try:
            buffer = np.empty(self._expected, dtype=np.uint8)
            for start in range(0, len(buffer), PIECE_BYTES):
                buffer[start : start + PIECE_BYTES : PAGE_BYTES] = 0
                if self._is_closed:
                    return
                if not self.is_hurried:
                    time.sleep(PAUSE_SECONDS)
            self._give_back(buffer)
        except MemoryError:
            self._most_spare = 0
            log.warning("there is no memory to hold ready for computed prefixes")
        finally:
            self._expected = 0

    def _give_back(self, buffer: State) -> None:
        """On whichever thread forgot the state."""
        self._spare[id(buffer)] = buffer
        spare = list(self._spare.values())
        excess = sum(map(len, spare)) - self._most_spare
        for oldest in spare:
            if excess <= 0:
                return
            if self._spare.pop(id(oldest), None) is not None:
                excess -= len(oldest)


def _fits(buffer: State, size: int) -> bool:
    return size <= len(buffer) <= WIDEST * size
