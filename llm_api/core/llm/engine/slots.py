"""Which tokens are resident in the KV buffer, and how many of its cells they take.

A slot is one llama.cpp sequence id. With a unified KV buffer a cell may belong to several slots:
sharing a prefix takes no room. Cells are counted here by reference, so that the scheduler knows
the free room without asking llama.cpp. Knows no requests beyond the id of a slot's owner.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from llm_api.core.llm.observation import KVTokens
from llm_api.core.llm.types import Retention


@dataclass(slots=True, eq=False)
class Slot:
    """Tokens `tokens[i]` stand at position `i` in cell `cells[i]`. Idle without an owner.

    The first `prompt_length` tokens were the prompt of the last owner, the others its answer.
    It cannot be cut below `least_length`, but to nothing: so much of a window was restored.
    `retention` is what the last owner said of how long all of it may be kept.
    """

    index: int
    tokens: list[int] = field(default_factory=list)
    cells: list[int] = field(default_factory=list)
    owner: int | None = None
    scope: str = ""
    prompt_length: int = 0
    last_used: int = 0
    retention: Retention | None = None
    least_length: int = 0

    @property
    def is_idle(self) -> bool:
        return self.owner is None


@dataclass(frozen=True, slots=True)
class PrefixMatch:
    """The first `length` tokens asked for are resident in `slot`."""

    slot: Slot
    length: int


class SlotTable:
    """Every slot and every cell. `free + used == cell_count` after each call."""

    def __init__(self, slot_count: int, cell_count: int) -> None:
        self.cell_count = cell_count
        self._slots = [Slot(index) for index in range(slot_count)]
        self._free_cells = list(range(cell_count))
        self._references = [0] * cell_count
        self._clock = 0

    def __getitem__(self, index: int) -> Slot:
        return self._slots[index]

    @property
    def free_cell_count(self) -> int:
        return len(self._free_cells)

    def __iter__(self) -> Iterator[Slot]:
        return iter(self._slots)

    def idle(self) -> Iterator[Slot]:
        """Slots without an owner, least recently used first, empty ones before all."""
        return iter(
            sorted(
                (slot for slot in self._slots if slot.is_idle),
                key=lambda slot: (bool(slot.tokens), slot.last_used),
            )
        )

    def pinned_cell_count(self) -> int:
        """Cells that eviction cannot free: those of the slots with an owner."""
        pinned: set[int] = set()
        for slot in self._slots:
            if not slot.is_idle:
                pinned.update(slot.cells)
        return len(pinned)

    def kv_tokens(self) -> KVTokens:
        """What holds the cells. Only reads, on any thread: beside a step it is about right."""
        free, pinned = self.free_cell_count, self.pinned_cell_count()
        return KVTokens(pinned, max(0, self.cell_count - free - pinned), free)

    def longest_prefix(
        self, tokens: Sequence[int], scope: str, *, can_cut: bool = True, but: Slot | None = None
    ) -> PrefixMatch | None:
        """The longest resident prefix of `tokens` within `scope`, in any slot `but` one. Pure.

        Prefers, at equal length, a slot that holds nothing else; without `can_cut` no other
        counts. None where nothing matches.
        """
        best: PrefixMatch | None = None
        for slot in self._slots:
            if slot.scope != scope or slot is but:
                continue
            length = common_prefix_length(slot.tokens, tokens)
            if (not can_cut and length < len(slot.tokens)) or length < slot.least_length:
                continue
            if length and (best is None or _is_better(slot, length, best)):
                best = PrefixMatch(slot, length)
        return best

    def claim(
        self,
        slot: Slot,
        owner: int,
        scope: str,
        prompt_length: int,
        retention: Retention | None = None,
    ) -> None:
        """Give an idle slot to a sequence. Its resident tokens stay."""
        if not slot.is_idle:
            raise AssertionError(f"slot {slot.index} belongs to sequence {slot.owner}")
        slot.owner, slot.scope, slot.prompt_length = owner, scope, prompt_length
        if slot.retention != "in_memory":  # what is of a request that said so, stays off the disk
            slot.retention = retention

    def release(self, slot: Slot) -> None:
        """Make a slot idle. Its tokens stay resident until they are evicted."""
        self._clock += 1
        slot.owner, slot.last_used = None, self._clock

    def share(self, source: Slot, target: Slot, length: int) -> None:
        """Let the empty `target` hold the first `length` cells of `source` as well."""
        if target.cells:
            raise AssertionError(f"slot {target.index} is not empty")
        target.tokens = source.tokens[:length]
        target.cells = source.cells[:length]
        target.least_length, target.retention = source.least_length, source.retention
        for cell in target.cells:
            self._references[cell] += 1

    def append(self, slot: Slot, tokens: Sequence[int]) -> None:
        """Take a free cell for each token. The caller has made room."""
        first = len(self._free_cells) - len(tokens)
        if first < 0:
            raise AssertionError("no room was made")
        taken = self._free_cells[first:]
        del self._free_cells[first:]
        for cell in taken:
            self._references[cell] = 1
        slot.cells.extend(taken)
        slot.tokens.extend(tokens)

    def trim(self, slot: Slot, length: int) -> None:
        """Keep the first `length` tokens of a slot; cells nobody else holds become free."""
        for cell in slot.cells[length:]:
            self._references[cell] -= 1
            if not self._references[cell]:
                self._free_cells.append(cell)
        del slot.cells[length:]
        del slot.tokens[length:]
        slot.least_length = min(slot.least_length, length)
        if not length:
            slot.retention = None

    def check_integrity(self) -> None:
        """Raise AssertionError unless free + used = total and every reference is accounted for."""
        held = [0] * self.cell_count
        for slot in self._slots:
            if len(slot.tokens) != len(slot.cells) or len(set(slot.cells)) != len(slot.cells):
                raise AssertionError(f"slot {slot.index}: tokens and cells disagree")
            for cell in slot.cells:
                held[cell] += 1
        if held != self._references:
            raise AssertionError("references do not add up to what the slots hold")
        free = set(self._free_cells)
        if len(free) != len(self._free_cells) or any(held[cell] for cell in free):
            raise AssertionError("a free cell is in use, or free twice")
        if len(free) + sum(count > 0 for count in held) != self.cell_count:
            raise AssertionError("free + used != total")


def common_prefix_length(left: Sequence[int], right: Sequence[int]) -> int:
    """Number of equal leading tokens. Pure."""
    for position, (one, other) in enumerate(zip(left, right, strict=False)):
        if one != other:
            return position
    return min(len(left), len(right))


def _is_better(slot: Slot, length: int, best: PrefixMatch) -> bool:
    """Longer, or as long and with less left over behind the prefix."""
    return (length, -len(slot.tokens)) > (best.length, -len(best.slot.tokens))
