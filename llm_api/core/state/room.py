"""How much may be stored: bounds on one write, and on all together."""

import asyncio
from typing import Final

from llm_api.core.errors import InvalidRequestError, StateFullError

MAX_WRITE_BYTES: Final = 64 * 1024 * 1024
"""Texts of one write, which stands in memory as a whole."""


class StateRoom:
    """Room for `max_bytes`. Knows what this process has written since all was measured last.

    `is_short` is set when a write has found none.
    """

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self.is_short = asyncio.Event()
        self._used = 0

    @property
    def used(self) -> int:
        return self._used

    def measured(self, used: int) -> None:
        """So many bytes are stored, by all processes together."""
        self._used = used
        self.is_short.clear()

    def take(self, size: int) -> None:
        """Count what is about to be written. Raises InvalidRequestError or StateFullError."""
        if size > MAX_WRITE_BYTES:
            raise InvalidRequestError(
                f"That is too large to be stored: {size:,} bytes, of {MAX_WRITE_BYTES:,} at most."
            )
        if size and self._used + size > self.max_bytes:
            self.is_short.set()
            raise StateFullError(
                "There is no room to store more: delete responses or conversations, raise"
                " STATE_MAX_BYTES, or send store: false."
            )
        self._used += size
