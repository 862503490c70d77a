"""What one model's engine asks of the stored prefixes: which to read, where to keep a state.

Every method is called on the compute thread, `status` on any.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Final

from llm_api.core.llm.observation import TierStatus
from llm_api.core.llm.prefix_cache.prefix_cache import PrefixCache
from llm_api.core.llm.prefix_cache.speeds import Speeds
from llm_api.core.llm.prefix_cache.stored import (
    BLOCK_TOKENS,
    PINNED_SCOPE,
    State,
    StoredPrefix,
    Tokens,
    as_tokens,
)
from llm_api.core.llm.types import Retention

WORTH_KEEPING: Final = 32
"""Tokens that must be new in a state that is kept, and that a stored one must have more."""

LEAST_NEW_PART: Final = 1 / 8
"""Of a state that is kept beside one it shares the rest with, so that this is not kept again."""


class StateSource:
    """A stored state that goes back into a slot: `length` tokens, of which `useful` are wanted."""

    def __init__(
        self, prefixes: "ModelPrefixes", stored: StoredPrefix, state: State, useful: int
    ) -> None:
        self.state = state
        self.length = len(stored.tokens)
        self.useful = useful
        self.tokens: list[int] = stored.tokens.tolist()
        self.retention = stored.retention
        self._prefixes = prefixes
        self._stored = stored

    def took(self, seconds: float) -> None:
        """It has been read."""
        self._prefixes.speeds.learn_copy(self._stored.size, seconds)

    def failed(self) -> None:
        """It could not be read, and never is again."""
        self._prefixes.cache.drop(self._stored)


class StatePlace:
    """Where the state of a slot is to be kept."""

    def __init__(self, prefixes: "ModelPrefixes", stored: StoredPrefix) -> None:
        self._prefixes = prefixes
        self._stored = stored

    def allot(self, size: int) -> State | None:
        """Room for a state of so many bytes; None where there is none."""
        if not self._prefixes.cache.make_room(size, self._stored.owner):
            return None
        try:
            return self._prefixes.cache.buffers.take(size)
        except MemoryError:
            return None

    def keep(self, state: State, seconds: float) -> None:
        """Keep what was read into the room allotted."""
        self._stored.state, self._stored.size = state, len(state)
        self._prefixes.speeds.learn_copy(len(state), seconds)
        self._prefixes.bytes_per_token = len(state) / len(self._stored.tokens)
        self._prefixes.cache.keep(self._stored, replaces=self._prefixes.can_cut)


class ModelPrefixes:
    """The stored prefixes of one model, opened in one way: those of `fingerprint`.

    `most_tokens` fit into a slot. Without `can_cut`, set once the model is known, a stored prefix
    is used whole or not at all.
    """

    def __init__(self, cache: PrefixCache, fingerprint: str, most_tokens: int) -> None:
        self.cache = cache
        self.speeds = Speeds()
        self.can_cut = True
        self.bytes_per_token = 0.0  # of a state, about; 0: not known
        self._fingerprint = fingerprint
        self._most_tokens = most_tokens
        self._hits: Counter[str] = Counter()
        self._restored: Counter[str] = Counter()

    @property
    def is_on(self) -> bool:
        return self.cache.ram.room > 0

    def source(
        self, tokens: Sequence[int], scope: str, beyond: int, room: int
    ) -> StateSource | None:
        """The stored state that is worth reading for a prompt, of which `beyond` is resident.

        Of those that fit into `room` tokens.
        """
        if not self.is_on or len(tokens) < BLOCK_TOKENS:
            return None
        found = self._longest(
            as_tokens(tokens),
            scope,
            beyond,
            lambda one: one.state is not None and len(one.tokens) <= room,
            None,
        )
        if found is None or found[0].state is None:
            return None
        stored, length = found
        self.cache.touch(stored)
        tier = "disk" if stored.is_fetched else "ram"
        stored.is_fetched = False
        self._hits[tier] += 1
        self._restored[tier] += length - beyond
        return StateSource(self, stored, found[0].state, length)

    def on_disk(self, tokens: Sequence[int], scope: str, beyond: int) -> StoredPrefix | None:
        """The prefix that is worth fetching first: longer than any in RAM, and than `beyond`."""
        speed = self.cache.disk_bytes_per_second
        if speed is None or not self.is_on or len(tokens) < BLOCK_TOKENS:
            return None
        wanted = as_tokens(tokens)
        in_ram = self._longest(wanted, scope, beyond, self._is_in_ram, None)
        beyond = in_ram[1] if in_ram is not None else beyond
        found = self._longest(wanted, scope, beyond, self._is_on_disk_alone, speed)
        return found[0] if found is not None else None

    def fetch(self, stored: StoredPrefix, then: Callable[[], None]) -> None:
        """Read a state from disk into RAM, and call `then`."""
        self.cache.fetch(stored, then)

    def place(
        self, tokens: Sequence[int], scope: str, retention: Retention | None, resident: int = 0
    ) -> StatePlace | None:
        """Where to keep the state behind these tokens; None where it is not worth it.

        The first `resident` tokens stay in a slot.
        """
        if not self.is_on or len(tokens) < BLOCK_TOKENS:
            return None
        wanted = as_tokens(tokens)
        beside = max(WORTH_KEEPING, int(LEAST_NEW_PART * len(wanted)))
        if len(wanted) - resident < beside:
            return None
        known = self.cache.index.longest(self._fingerprint, scope, wanted, self._covers)
        if known is not None:
            is_replaced = known.length == len(known.stored.tokens)
            if len(wanted) - known.length < (WORTH_KEEPING if is_replaced else beside):
                self.cache.touch(known.stored)
                return None
        stored = StoredPrefix(self._fingerprint, scope, wanted, 0, retention)
        return StatePlace(self, stored)

    def expect(self, length: int) -> bool:
        """Have memory made ready for a state of so many tokens. Whether it is, or never will be."""
        size = int(length * self.bytes_per_token)
        if not self.is_on or self.cache.buffers.is_ready(size):
            return True
        self.cache.buffers.expect(size)
        return False

    def status(self) -> tuple[TierStatus, ...]:
        """How the tiers stand, for this model."""
        tiers = {"ram": self.cache.ram, "disk": self.cache.disk}
        return tuple(
            TierStatus(
                name,
                tokens=sum(len(one.tokens) for one in own),
                bytes=sum(one.size for one in own),
                room_bytes=tier.room,
                prefixes=len(own),
                hits=self._hits[name],
                restored_tokens=self._restored[name],
            )
            for name, tier in tiers.items()
            if tier.room
            for own in [[one for one in tier.members() if one.fingerprint == self._fingerprint]]
        )

    def _longest(
        self,
        tokens: Tokens,
        scope: str,
        beyond: int,
        is_there: Callable[[StoredPrefix], bool],
        disk_bytes: float | None,
    ) -> tuple[StoredPrefix, int] | None:
        def allows(stored: StoredPrefix, length: int) -> bool:
            return (
                length >= beyond + WORTH_KEEPING
                and is_there(stored)
                and len(stored.tokens) <= self._most_tokens
                and (self.can_cut or length == len(stored.tokens))
                and self.speeds.pays(length - beyond, stored.size, disk_bytes)
            )

        best: tuple[StoredPrefix, int] | None = None
        for one in (scope, PINNED_SCOPE + "".join(scope.partition("\0")[1:])):
            found = self.cache.index.longest(self._fingerprint, one, tokens, allows)
            if found is not None and (best is None or found.length > best[1]):
                best = found.stored, found.length
        return best

    def _covers(self, stored: StoredPrefix, length: int) -> bool:
        return self.can_cut or length == len(stored.tokens)

    @staticmethod
    def _is_in_ram(stored: StoredPrefix) -> bool:
        return stored.state is not None

    @staticmethod
    def _is_on_disk_alone(stored: StoredPrefix) -> bool:
        return stored.state is None and stored.path is not None
