"""The tiers below the KV buffer: states in RAM, and on disk if there is a folder. For all models.

The compute thread owns it: every method is called there, unless it says otherwise. A state comes in
from a slot (`ModelPrefixes.place`), is written behind to the folder, and leaves RAM for others; a
state on disk is read before its sequence is admitted (`ModelPrefixes.fetch`). Knows no llama.cpp.
"""

import logging
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final, Protocol
from weakref import WeakSet

from llm_api.core.llm.observation import ForgottenPrefixes
from llm_api.core.llm.prefix_cache.buffers import SPARE_PART, Buffers
from llm_api.core.llm.prefix_cache.index import PrefixIndex
from llm_api.core.llm.prefix_cache.state_folder import StateFolder
from llm_api.core.llm.prefix_cache.stored import State, StoredPrefix
from llm_api.core.llm.prefix_cache.tier import Tier

log = logging.getLogger(__name__)

DAY_SECONDS: Final = 86_400.0
CLOSING_SECONDS: Final = 2.0
"""How long the end waits for the file that is being read or written."""

Post = Callable[[Callable[[], None]], None]


class SlotHolder(Protocol):
    """What holds computed prefixes before they are stored."""

    def forget(self, leaves: Callable[[str], bool]) -> None:
        """Empty the idle slots of the owners that `leaves` says."""
        ...


@dataclass(frozen=True, slots=True)
class CacheLimits:
    """Bytes in RAM and on disk; seconds after which a file that nobody used is deleted."""

    ram: int = 0
    disk: int = 0
    disk_seconds: float = 7 * DAY_SECONDS


class PrefixCache:
    """Stored prefixes and the room they take."""

    def __init__(
        self,
        limits: CacheLimits = CacheLimits(),
        folder: StateFolder | None = None,
        post: Post = lambda call: call(),
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`post` has a call done on the thread that owns this; it is thread-safe."""
        self.index = PrefixIndex()
        self.ram, self.disk = Tier(limits.ram), Tier(limits.disk if folder else 0)
        self.buffers = Buffers(limits.ram // SPARE_PART)
        self.models: dict[str, str] = {}
        """Names of models by the fingerprint of their prefixes. Written on any thread."""
        self.holders: WeakSet[SlotHolder] = WeakSet()
        self._limits = limits
        self._folder = folder
        self._post = post
        self.clock = clock
        self._fetching: dict[int, list[Callable[[], None]]] = {}
        self._is_writing = False
        self._settled: list[Callable[[], None]] = []

    @property
    def disk_bytes_per_second(self) -> float | None:
        return self._folder.bytes_per_second if self._folder is not None else None

    def find_files(self) -> None:
        """Take in what the folder holds. Blocks; once, before the first model is loaded."""
        if self._folder is not None:
            for stored in sorted(self._folder.found(), key=lambda one: one.last_used):
                self._take_room(self.disk, stored)
            self.expire()

    def make_room(self, size: int, owner: str) -> bool:
        """Room in RAM for a state, if others can be given up for it."""
        leaving = self.ram.to_give_up(size, owner)
        for stored in leaving or ():
            self._leave_ram(stored)
        return leaving is not None

    def keep(self, stored: StoredPrefix, *, replaces: bool) -> None:
        """Take in a state for which room was made, and write it behind.

        Where it `replaces` them, what is only a beginning of it leaves.
        """
        stored.last_used = self.clock()
        self.index.add(stored)
        self.ram.add(stored)
        if replaces:
            self._drop_beginnings(stored, self.ram, self._leave_ram)
        self.write_behind()

    def touch(self, stored: StoredPrefix) -> None:
        stored.last_used = self.clock()

    def drop(self, stored: StoredPrefix) -> None:
        """Forget a prefix in every tier; its file is deleted."""
        self.index.remove(stored)
        self.ram.remove(stored)
        self.disk.remove(stored)
        stored.state = None
        if stored.path is not None and self._folder is not None:
            self._folder.remove(stored.path)
            stored.path = None

    def forget(self, leaves: Callable[[str], bool]) -> ForgottenPrefixes:
        """Forget what belongs to the owners that `leaves` says: stored, and in idle slots."""
        for holder in list(self.holders):
            holder.forget(leaves)
        leaving = [stored for stored in self.index if leaves(stored.owner)]
        for stored in leaving:
            self.drop(stored)
        return ForgottenPrefixes(len(leaving), sum(one.size for one in leaving))

    def expire(self) -> None:
        """Delete what nobody has used for as long as it may be kept."""
        now = self.clock()
        for stored in self.ram.members():
            is_old = stored.retention == "24h" and now - stored.last_used > DAY_SECONDS
            if is_old and not stored.is_moving:
                self._leave_ram(stored)
        for stored in self.disk.members():
            most = self._limits.disk_seconds
            if stored.retention == "24h":
                most = min(most, DAY_SECONDS)
            if now - stored.last_used > most and not stored.is_pinned:
                self._leave_disk(stored)

    def fetch(self, stored: StoredPrefix, then: Callable[[], None]) -> None:
        """Read a state from disk into RAM, and call `then`, whether that succeeded or not."""
        if (waiting := self._fetching.get(id(stored))) is not None:
            waiting.append(then)
            return
        if self._folder is None or not self.make_room(stored.size, stored.owner):
            then()
            return
        self._fetching[id(stored)] = [then]
        stored.is_moving = True
        self._folder.read(stored, lambda state: self._post(partial(self._fetched, stored, state)))

    def write_behind(self) -> None:
        """Write the next state that is not on disk, one at a time, as long as there is one."""
        if self._is_writing:
            return
        if self._folder is not None and self._write_one(self._folder):
            return
        self._tell_settled()

    def _tell_settled(self) -> None:
        settled, self._settled = self._settled, []
        for then in settled:
            then()

    def settle(self, then: Callable[[], None]) -> None:
        """Write behind, and call `then` once everything that may be is on disk, or cannot be."""
        self._settled.append(then)
        self.write_behind()

    def _write_one(self, folder: StateFolder) -> bool:
        for stored in sorted(self.ram.members(), key=lambda one: one.last_used, reverse=True):
            if stored.path is None and stored.may_be_written and stored.state is not None:
                leaving = self.disk.to_give_up(stored.size, stored.owner)
                # What was used later stays: else the two would push each other out for ever.
                if leaving is None or any(one.last_used >= stored.last_used for one in leaving):
                    continue
                for one in leaving:
                    self._leave_disk(one)
                self._is_writing = stored.is_moving = True
                folder.write(stored, stored.state, partial(self._answer_written, stored))
                return True
        return False

    def hurry(self, *, is_hurried: bool) -> None:
        """Whether nothing computes that a write could slow down. On any thread."""
        self.buffers.is_hurried = is_hurried
        if self._folder is not None:
            self._folder.hurry(is_hurried=is_hurried)

    def close(self) -> None:
        """Do what was asked of the folder. Blocks; on any thread, once nothing computes."""
        self.buffers.close()
        if self._folder is not None:
            self._folder.close(CLOSING_SECONDS)

    def _fetched(self, stored: StoredPrefix, state: State | None) -> None:
        stored.is_moving = False
        if stored in self.index:
            if state is None:
                self.drop(stored)
            elif self.make_room(stored.size, stored.owner):
                stored.state, stored.is_fetched = state, True
                self.touch(stored)
                self.ram.add(stored)
        for then in self._fetching.pop(id(stored)):
            then()

    def _answer_written(self, stored: StoredPrefix, path: Path | None) -> None:
        """On the folder's thread."""
        self._post(partial(self._written, stored, path))

    def _written(self, stored: StoredPrefix, path: Path | None) -> None:
        self._is_writing = stored.is_moving = False
        if path is None:  # the next prefix that comes in tries again, after a while
            self._tell_settled()
            return
        if stored not in self.index:  # forgotten meanwhile
            if self._folder is not None:
                self._folder.remove(path)
        else:
            stored.path = path
            self.disk.add(stored)
            self._drop_beginnings(stored, self.disk, self._leave_disk)
        self.write_behind()

    def _drop_beginnings(
        self, stored: StoredPrefix, tier: Tier, leave: Callable[[StoredPrefix], None]
    ) -> None:
        def is_beginning(other: StoredPrefix, length: int) -> bool:
            return (
                other is not stored
                and other in tier
                and length == len(other.tokens)
                and other.retention == stored.retention
                and not other.is_moving
            )

        while (
            found := self.index.longest(
                stored.fingerprint, stored.scope, stored.tokens, is_beginning
            )
        ) is not None:
            leave(found.stored)

    def _take_room(self, tier: Tier, stored: StoredPrefix) -> None:
        """Take in a prefix that was found on disk; of too many, the oldest leave."""
        leaving = tier.to_give_up(stored.size, stored.owner)
        self._leave_all(leaving or ())
        self.index.add(stored)
        tier.add(stored)
        if leaving is None:
            self._leave_disk(stored)

    def _leave_all(self, stored: Iterable[StoredPrefix]) -> None:
        for one in stored:
            self._leave_disk(one)

    def _leave_ram(self, stored: StoredPrefix) -> None:
        self.ram.remove(stored)
        stored.state = None
        if stored not in self.disk:
            self.index.remove(stored)

    def _leave_disk(self, stored: StoredPrefix) -> None:
        self.disk.remove(stored)
        if stored.path is not None and self._folder is not None:
            self._folder.remove(stored.path)
        stored.path = None
        if stored not in self.ram:
            self.index.remove(stored)
