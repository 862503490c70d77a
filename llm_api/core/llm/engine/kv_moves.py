"""What is done to the KV buffer before the next step: slots are cut, given up, saved and restored.

Changes the slots at once, and keeps the operations that do the same in llama.cpp for the next plan.
Decides nothing about who is admitted: that is the scheduler's.
"""

from collections.abc import Callable, Iterator

from llm_api.core.llm.engine.plan import (
    CopyPrefix,
    KvOperation,
    RestoreSlot,
    SaveSlot,
    StepPlan,
    TrimSlot,
)
from llm_api.core.llm.engine.sequence import Sequence
from llm_api.core.llm.engine.slots import PrefixMatch, Slot, SlotTable
from llm_api.core.llm.prefix_cache.model_prefixes import WORTH_KEEPING, ModelPrefixes, StatePlace
from llm_api.core.llm.prefix_cache.prefix_cache import PrefixCache
from llm_api.core.llm.prefix_cache.stored import owner_of


class KvMoves:
    """The operations of the next plan, and the stored prefixes that they read and write.

    `can_cut_restored`: as `SchedulerLimits`.
    """

    def __init__(
        self, slots: SlotTable, stored: ModelPrefixes | None, *, can_cut_restored: bool
    ) -> None:
        self.stored = stored or ModelPrefixes(PrefixCache(), "", slots.cell_count)
        self._slots = slots
        self._can_cut_restored = can_cut_restored
        self._operations: list[KvOperation] = []
        self.stored.cache.holders.add(self)

    def take(self) -> tuple[KvOperation, ...]:
        """Hand over the operations, in their order: the next plan's."""
        operations, self._operations = tuple(self._operations), []
        return operations

    def share(self, source: Slot, target: Slot, length: int) -> None:
        """Let the empty `target` hold the first `length` tokens of `source` as well."""
        self._operations.append(CopyPrefix(source.index, target.index, length))
        self._slots.share(source, target, length)

    def trim(self, slot: Slot, length: int, *, keeps: bool = True) -> None:
        """Cut a slot. What an idle one loses is kept first, if that is worth it."""
        if len(slot.tokens) > length:
            if keeps and slot.is_idle:
                self._save(slot, length, self._held_elsewhere(slot))
            self._operations.append(TrimSlot(slot.index, length))
            self._slots.trim(slot, length)

    def forget(self, leaves: Callable[[str], bool]) -> None:
        """Empty the idle slots of the owners that `leaves` says; nothing of them is kept."""
        for slot in self._slots:
            if slot.is_idle and slot.tokens and leaves(owner_of(slot.scope)):
                self.trim(slot, 0, keeps=False)

    def make_room(self, cells: int) -> bool:
        """Evict idle prefixes, least recently used first, until `cells` are free."""
        while self._slots.free_cell_count < cells:
            if not self.evict_one():
                return False
        return True

    def evict_one(self) -> bool:
        for slot in self._slots.idle():
            if slot.tokens:
                self.trim(slot, 0)
                return True
        return False

    def restored(self, sequence: Sequence, match: PrefixMatch | None) -> tuple[Slot, int] | None:
        """A slot that a longer stored prefix is restored into; None where nothing is gained."""
        beyond = match.length if match else 0
        room = self._slots.cell_count - self._slots.pinned_cell_count()
        source = self.stored.source(sequence.tokens[:-1], sequence.prefix_scope, beyond, room)
        if source is None:
            return None
        spare = next(self._slots.idle())
        self.trim(spare, 0)
        self.make_room(source.length)
        self._operations.append(RestoreSlot(spare.index, source))
        self._slots.append(spare, source.tokens)
        spare.retention = source.retention
        self.trim(spare, source.useful, keeps=False)
        if not self._can_cut_restored:
            spare.least_length = source.useful
        return spare, source.useful

    def fetch(
        self, sequence: Sequence, match: PrefixMatch | None, then: Callable[[], None]
    ) -> bool:
        """As `Planner.fetch`, for a sequence of which `match` is resident."""
        beyond = match.length if match else 0
        wanted = self.stored.on_disk(sequence.tokens[:-1], sequence.prefix_scope, beyond)
        if wanted is None:
            return False
        self.stored.fetch(wanted, then)
        return True

    def release(self, slot: Slot) -> None:
        """Make a slot idle. Memory to save it to is made ready before anybody needs its room."""
        self._slots.release(slot)
        if len(slot.tokens) >= WORTH_KEEPING:
            self.stored.expect(len(slot.tokens))

    def plan_saves(self, *, may_wait: bool) -> Iterator[StepPlan]:
        """As `Planner.plan_saves`."""
        self.stored.cache.hurry(is_hurried=True)
        self.stored.cache.expire()
        for slot in self._slots:
            while may_wait and self._wants_memory(slot):
                yield StepPlan()
            if slot.is_idle:
                self._save(slot, 0, 0)
            if operations := self.take():
                yield StepPlan(operations)

    def learn_computing(self, plan: StepPlan, rows: int, seconds: float) -> None:
        """Take in how long so many rows of prompts took, unless states were moved as well."""
        if not any(isinstance(one, (SaveSlot, RestoreSlot)) for one in plan.kv_operations):
            self.stored.speeds.learn_computing(rows, seconds)

    def _held_elsewhere(self, slot: Slot) -> int:
        """How much of a slot another one holds as well."""
        match = self._slots.longest_prefix(
            slot.tokens, slot.scope, can_cut=self.stored.can_cut, but=slot
        )
        return match.length if match else 0

    def _wants_memory(self, slot: Slot) -> bool:
        """Whether a slot is to be saved, and the memory for it is still being made ready."""
        return (
            slot.is_idle
            and self._place(slot, 0, 0) is not None
            and not self.stored.expect(len(slot.tokens))
        )

    def _save(self, slot: Slot, length: int, resident: int) -> None:
        """Have what an idle slot holds behind `length` kept, unless most of it is already."""
        if (place := self._place(slot, length, resident)) is not None:
            self._operations.append(SaveSlot(slot.index, place))

    def _place(self, slot: Slot, length: int, resident: int) -> StatePlace | None:
        if len(slot.tokens) - length < WORTH_KEEPING:
            return None
        return self.stored.place(slot.tokens, slot.scope, slot.retention, resident)
