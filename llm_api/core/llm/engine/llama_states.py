"""Moves the state of one slot between llama.cpp and a buffer, in one call of its.

That copies at the speed of memory. Of a model of 1.5B, on two cores: 5,000 tokens (143 MB) are
restored in 8 to 20 ms and saved in 8 to 17, 20,000 (574 MB) in 33 to 59 and 30 to 56, while a step
of it takes 80 and more. So nothing is moved in parts. That holds for memory that was used before,
which is why `prefix_cache/buffers.py` has it ready.
"""

import ctypes
import logging
import time
from typing import Any

from llm_api.core.llm.prefix_cache.model_prefixes import StatePlace, StateSource
from llm_api.core.llm.prefix_cache.stored import State

log = logging.getLogger(__name__)


class SlotStates:
    """The states of a context's slots, each with its keeper `keeper_offset` higher; 0: none."""

    def __init__(self, library: Any, context: Any, keeper_offset: int) -> None:
        self._library = library
        self._context = context
        self._memory = library.llama_get_memory(context)
        self._keeper_offset = keeper_offset

    def save(self, slot: int, place: StatePlace) -> None:
        """Copy what a slot holds to where it is kept, if there is room for it."""
        size = self._library.llama_state_seq_get_size(self._context, slot)
        if not size or (state := place.allot(size)) is None:
            return
        began = time.perf_counter()
        if (
            self._library.llama_state_seq_get_data(self._context, _pointer(state), size, slot)
            == size
        ):
            place.keep(state, time.perf_counter() - began)

    def restore(self, slot: int, source: StateSource) -> bool:
        """Fill an empty slot. False, and the slot is empty, where llama.cpp refuses the state."""
        began = time.perf_counter()
        state = source.state
        read = self._library.llama_state_seq_set_data(
            self._context, _pointer(state), len(state), slot
        )
        last = self._library.llama_memory_seq_pos_max(self._memory, slot)
        if read != len(state) or last != source.length - 1:
            log.warning("a kept prefix of %d tokens is of no use, and computed", source.length)
            self._library.llama_memory_seq_rm(self._memory, slot, -1, -1)
            source.failed()
            return False
        if self._keeper_offset:
            self._library.llama_memory_seq_cp(
                self._memory, slot, slot + self._keeper_offset, -1, -1
            )
        source.took(time.perf_counter() - began)
        return True


def _pointer(state: State) -> Any:
    return state.ctypes.data_as(ctypes.POINTER(ctypes.c_uint8))
