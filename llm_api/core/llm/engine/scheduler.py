"""What the next step computes. Data in, data out: no thread, no text, no llama.cpp.

`add` / `abort` / `plan() -> StepPlan` / `commit(plan, drawn)`, or `fail(plan)` where the plan
could not be executed. The compute thread alone calls it. DESIGN.md beside this file has the
invariants; the numbered cases below are those of `_prepare_slot`.

Where an admitted sequence goes:

1. its longest resident prefix is all that an idle slot holds: it takes the slot over;
2. all but the answer (the same request again): it takes the slot over and drops the answer;
3. an empty slot is left: the prefix is shared into it, the source stays as it is;
4. no empty slot: the least recently used idle slot is given up, and 3 holds; where that slot is
   the source itself, the sequence takes it over and drops what lies behind the prefix.

A stored prefix that is longer than the resident one, and read sooner than computed, goes before
all of them: it is restored into an empty slot, or the least recently used idle one.

Where the KV of a model cannot be cut (`can_trim` False), a prefix counts where it is all that a
slot holds: an idle slot is taken over (1), the state of a running sequence is copied (3, 4).
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from llm_api.core.llm.engine.draft_counts import DraftCounts
from llm_api.core.llm.engine.drafting import PromptLookup
from llm_api.core.llm.engine.fair_queue import FairQueue
from llm_api.core.llm.engine.guesses import Guesses
from llm_api.core.llm.engine.kv_moves import KvMoves
from llm_api.core.llm.engine.model_guesses import Drafter
from llm_api.core.llm.engine.outlook import slot_status
from llm_api.core.llm.engine.plan import AdapterScales, CopyPrefix, StepPlan, TokenSpan
from llm_api.core.llm.engine.planner import Occupancy, StepOutcome
from llm_api.core.llm.engine.sequence import Sequence
from llm_api.core.llm.engine.slots import PrefixMatch, Slot, SlotTable, common_prefix_length
from llm_api.core.llm.engine.step_costs import NO_GAIN, StepCosts
from llm_api.core.llm.observation import SlotStatus
from llm_api.core.llm.prefix_cache.model_prefixes import ModelPrefixes

DRAFTING_STEP_TOKENS = 32
"""Rows of a step up to which drafts are added: beyond, a row costs more than it may save."""

LEAST_CHUNK = 16
"""Rows of a prompt that are computed at once however slow the machine is."""

TURN_STEPS = 4
"""Steps with the same adapters while sequences with others wait: to change them takes some ms."""

WORTH_WAITING_FOR = 32
"""Tokens of prefix that make it worth waiting until another sequence has computed them."""


@dataclass(frozen=True, slots=True)
class SchedulerLimits:
    """What a step may do.

    `step_tokens` bounds its rows. `stall_seconds` bounds the time of those of prompts while other
    sequences decode and wait for them; the speed is learnt from the steps that were taken.
    `draft_tokens` bounds what prompt lookup drafts for one sequence, `model_tokens` what a draft
    model does; 0 switches that off, `costs` say how far drafts pay (`lookup_costs` those of lookup,
    where they are not None). A KV that cannot be cut is not drafted for.
    `can_cut_restored`: whether a state that was restored holds all that it held when it was saved;
    that of a sliding window holds what its end sees.
    """

    parallel: int
    step_tokens: int
    stall_seconds: float
    can_trim: bool = True
    draft_tokens: int = 0
    costs: StepCosts = NO_GAIN
    lookup_costs: StepCosts | None = None
    model_tokens: int = 8
    can_cut_restored: bool = True


class Scheduler:
    """Decides admission, prefix sharing, chunking, eviction and preemption."""

    def __init__(
        self,
        slots: SlotTable,
        limits: SchedulerLimits,
        drafter: Drafter | None = None,
        stored: ModelPrefixes | None = None,
    ) -> None:
        self._slots = slots
        self._limits = limits
        self._guesses = Guesses(
            limits.costs,
            drafter if limits.can_trim else None,
            limits.model_tokens,
            limits.lookup_costs,
        )
        self._kv = KvMoves(slots, stored, can_cut_restored=limits.can_cut_restored)
        self._kv.stored.can_cut = limits.can_trim and limits.can_cut_restored
        self._waiting = FairQueue()
        self._running: dict[int, Sequence] = {}
        self._is_admission_held = False
        self._turns = _AdapterTurns()
        self._chunk_tokens = LEAST_CHUNK
        self.preemption_count = 0
        self._drafts = DraftCounts(
            has_lookup=bool(limits.draft_tokens and limits.can_trim),
            has_model=drafter is not None and limits.can_trim,
        )

    @property
    def has_work(self) -> bool:
        return bool(self._running or self._waiting)

    def add(self, sequence: Sequence) -> None:
        """Queue a sequence. Its limit must fit the KV buffer: refusing is the caller's part."""
        self._waiting.append(sequence)
        self._kv.stored.cache.hurry(is_hurried=False)

    def fetch(self, sequence: Sequence, then: Callable[[], None]) -> bool:
        """Have a stored prefix of it read from disk, and call `then`; False where none is worth it.

        The sequence is added afterwards.
        """
        return self._kv.fetch(sequence, self._resident(sequence), then)

    def plan_saves(self, *, may_wait: bool = False) -> Iterator[StepPlan]:
        """Plans without spans: each keeps what one idle slot holds."""
        return self._kv.plan_saves(may_wait=may_wait)

    def abort(self, sequence: Sequence) -> None:
        """Forget a sequence. Its slot is free for the next plan and stays reusable."""
        if sequence.id in self._running:
            self._stop(sequence)
        else:
            self._waiting.remove(sequence)

    def plan(self, *, is_awaited: bool = False) -> StepPlan:
        """The next step, short where others wait for its end. No spans only without work."""
        self._admit()
        spans = self._spans(with_drafts=True, is_awaited=is_awaited)
        while not self._kv.make_room(sum(len(span.tokens) for span in spans)):
            if not any(span.drafted for span in spans):
                self._preempt_youngest()
            spans = self._spans(with_drafts=False, is_awaited=is_awaited)
        # llama.cpp computes sequences together only while their ids ascend one by one.
        spans.sort(key=lambda span: span.slot)
        for span in spans:
            self._slots.append(self._slots[span.slot], span.tokens)
        adapters = self._turns.current
        self._turns.take(is_prefill=not any(span.samples for span in spans))
        return StepPlan(self._kv.take(), tuple(spans), adapters)

    def commit(self, plan: StepPlan, drawn: Mapping[int, list[int]]) -> list[StepOutcome]:
        """Take in the tokens drawn for the spans that sample, by sequence id.

        The outcomes are in the order of the spans, those of one sequence in that of its tokens. A
        sequence without tokens, because its constraint failed, is the caller's to abort.
        """
        self._is_admission_held = False
        outcomes: list[StepOutcome] = []
        for span in plan.spans:
            sequence = self._running[span.sequence_id]
            sequence.computed += len(span.tokens)
            if span.samples and (tokens := drawn[sequence.id]):
                accepted = common_prefix_length(span.draft, tokens[:-1])
                self._take_back(sequence, span.drafted - accepted)
                guessed = min(span.drafted, self._guesses.made(sequence))
                by_model = self._guesses.is_modelled(sequence)
                self._drafts.add(guessed, min(accepted, guessed), by_model=by_model)
                self._guesses.learn(sequence, tokens)
                outcomes += self._extend(sequence, tokens)
        if outcomes:
            self._drafts.end_step()
        return outcomes

    def learn_speed(self, plan: StepPlan, seconds: float) -> None:
        """Take in how long a plan took: prompts are then cut to what fits the stall allowed.

        And as much is drafted as pays.
        """
        drawing = [len(span.tokens) for span in plan.spans if span.samples]
        if drawing and (len(set(drawing)) == 1 or not self._guesses.costs.wants_equal):
            self._guesses.learn_costs(sum(drawing), seconds)
        rows = sum(len(span.tokens) for span in plan.spans if not span.samples)
        if rows >= LEAST_CHUNK and seconds > 0:
            fitting = int(self._limits.stall_seconds * rows / seconds)
            wanted = min(max(fitting, LEAST_CHUNK), self._limits.step_tokens)
            self._chunk_tokens = (self._chunk_tokens + wanted) // 2
            self._kv.learn_computing(plan, rows, seconds)

    def fail(self, plan: StepPlan) -> list[Sequence]:
        """End the sequences of a plan whose decode failed; their slots are emptied.

        The operations that empty them are part of the next plan.
        """
        self._is_admission_held = False
        failed = [self._running[span.sequence_id] for span in plan.spans]
        for sequence in failed:
            slot = self._stop(sequence)
            self._kv.trim(slot, 0, keeps=False)  # what it holds is undefined
        return failed

    def begin_anew(self, plan: StepPlan, slots: frozenset[int]) -> None:
        """Take back a plan that could not restore these slots.

        The sequences there, and those that were to share what they hold, are computed.
        """
        for span in plan.spans:
            self._slots.trim(self._slots[span.slot], span.start)
        broken = set(slots)
        for operation in plan.kv_operations:
            if isinstance(operation, CopyPrefix) and operation.source in broken:
                broken.add(operation.target)
        for sequence in self._running.values():
            if _owned(sequence) in broken:
                sequence.computed = sequence.cached = sequence.forced = 0
        for index in broken:
            self._kv.trim(self._slots[index], 0, keeps=False)

    def retry(self, plan: StepPlan) -> bool:
        """Take back a plan for which llama.cpp found no room; the next plan wants less.

        Evicts an idle prefix, else preempts the youngest sequence, which is not admitted again
        before a step has succeeded. False where neither is left.
        """
        for span in plan.spans:
            self._slots.trim(self._slots[span.slot], span.start)  # llama.cpp has done the same
        if self._kv.evict_one():
            return True
        if len(self._running) < 2:
            return False
        self._preempt_youngest()
        self._is_admission_held = True
        return True

    def check_integrity(self) -> None:
        """Raise AssertionError unless every sequence owns its slot and no cell is lost."""
        self._slots.check_integrity()
        for sequence in self._running.values():
            slot = self._slots[_owned(sequence)]
            if slot.owner != sequence.id or len(slot.tokens) != sequence.computed:
                raise AssertionError(f"sequence {sequence.id} and slot {slot.index} disagree")
        if len(self._running) > self._limits.parallel:
            raise AssertionError("more sequences run than may")

    def occupancy(self) -> Occupancy:
        """As `Planner.occupancy`. Takes as long as it takes to count the cells: 1 ms for 65,536."""
        return Occupancy(
            len(self._running),
            self.preemption_count,
            self._slots.kv_tokens(),
            self._kv.stored.status(),
            self._drafts.status(),
        )

    def waiting(self) -> list[Sequence]:
        return list(self._waiting.in_order(Counter(one.scope for one in self.running())))

    def running(self) -> list[Sequence]:
        return list(self._running.values())

    def slots(self) -> list[SlotStatus]:
        owners = {one.slot: one for one in self.running()}
        return [slot_status(slot, owners.get(slot.index)) for slot in self._slots]

    # Admission

    def _admit(self) -> None:
        if self._is_admission_held or not self._waiting:
            return
        running_per_scope = Counter(sequence.scope for sequence in self._running.values())
        for sequence in self._waiting.in_order(running_per_scope):
            if len(self._running) >= self._limits.parallel:
                return
            match = self._resident(sequence)
            if self._is_being_computed(sequence, match.length if match else 0):
                continue
            if self._running and not self._has_room_for(sequence, match):
                return
            self._waiting.remove(sequence)
            self._place(sequence, match)

    def _resident(self, sequence: Sequence) -> PrefixMatch | None:
        return self._slots.longest_prefix(
            sequence.tokens[:-1], sequence.prefix_scope, can_cut=self._limits.can_trim
        )

    def _is_being_computed(self, sequence: Sequence, resident: int) -> bool:
        """Whether a running prefill will soon hold much more of this prompt than is resident."""
        return any(
            not other.is_decoding
            and other.prefix_scope == sequence.prefix_scope
            and self._shareable_length(other, sequence)
            >= max(resident, other.computed) + WORTH_WAITING_FOR
            for other in self._running.values()
        )

    def _shareable_length(self, other: Sequence, sequence: Sequence) -> int:
        """Tokens of a sequence that it can share with `other` when that one's prefill is done."""
        prefilled = other.tokens[:-1]
        length = common_prefix_length(prefilled, sequence.tokens[:-1])
        return length if self._limits.can_trim or length == len(prefilled) else 0

    def _has_room_for(self, sequence: Sequence, match: PrefixMatch | None) -> bool:
        """Whether its prompt fits beside the prompts still being computed."""
        promised = sum(other.pending for other in self._running.values())
        wanted = len(sequence.tokens)
        if match is not None and not match.slot.is_idle:
            wanted -= match.length  # already pinned by the one it is shared with
        return self._slots.pinned_cell_count() + promised + wanted <= self._slots.cell_count

    def _place(self, sequence: Sequence, match: PrefixMatch | None) -> None:
        slot, length = self._kv.restored(sequence, match) or self._prepare_slot(match)
        self._slots.claim(
            slot, sequence.id, sequence.prefix_scope, sequence.prompt_length, sequence.retention
        )
        sequence.slot, sequence.computed = slot.index, length
        if not sequence.was_admitted:
            sequence.cached, sequence.was_admitted = length, True
        if sequence.lookup is None and self._limits.draft_tokens and self._limits.can_trim:
            sequence.lookup = PromptLookup(sequence.tokens, self._limits.draft_tokens)
        self._running[sequence.id] = sequence

    def _prepare_slot(self, match: PrefixMatch | None) -> tuple[Slot, int]:
        """A slot that holds the prefix, or as much of it as can be had, and nothing else."""
        source, length = (match.slot, match.length) if match else (None, 0)
        if source is not None and source.is_idle and self._may_take_over(source, length):
            self._kv.trim(source, length)  # 2; nothing to do in case 1
            return source, length
        spare = next(self._slots.idle())
        if spare is source:
            self._kv.trim(spare, length)  # 4, the source itself
            return spare, length
        self._kv.trim(spare, 0)  # 4; nothing to do in case 3
        if source is not None:
            self._kv.share(source, spare, length)
        return spare, length

    def _may_take_over(self, source: Slot, length: int) -> bool:
        behind_prompt = self._limits.can_trim and length >= source.prompt_length - 1
        return length == len(source.tokens) or behind_prompt

    # Steps

    def _spans(self, *, with_drafts: bool, is_awaited: bool) -> list[TokenSpan]:
        """A prefill step or a decode step; in turn, where there is work for both.

        Of sequences with the same adapters alone, which take turns as well.
        The last token of a prompt is left to a decode step, so that it is computed by the same
        kernels whether the tokens before it were computed just now or found resident: a repeated
        request gets the same logits to the last bit (DESIGN.md, "Arithmetic").
        """
        running = self._running.values()
        adapters = self._turns.choose(item.adapters for item in running)
        decodes = [item for item in running if item.is_decoding and item.adapters == adapters]
        prefills = sorted(
            (item for item in running if not item.is_decoding and item.adapters == adapters),
            key=lambda item: item.id,
        )
        if prefills and not (decodes and self._turns.has_just_prefilled):
            return _chunks(prefills, *self._prompt_rows(len(prefills), is_awaited=is_awaited))
        spans = [_span(sequence, sequence.pending) for sequence in decodes]
        return self._with_drafts(decodes, spans) if with_drafts else spans

    def _prompt_rows(self, prompts: int, *, is_awaited: bool) -> tuple[int, int]:
        """Rows of a step for a part of a prompt, and in all for prompts that fit whole.

        A running stream stalls no longer for a part than `stall_seconds` allow. Where more prompts
        wait for their first token than streams for their next one, it waits for several at once.
        """
        streams = sum(item.is_decoding for item in self._running.values())
        if not streams and not is_awaited:
            return self._limits.step_tokens, self._limits.step_tokens
        patience = 1 if is_awaited else max(prompts // streams, 1)
        return self._chunk_tokens, min(patience * self._chunk_tokens, self._limits.step_tokens)

    def _with_drafts(self, decodes: list[Sequence], spans: list[TokenSpan]) -> list[TokenSpan]:
        """Add what each sequence has drafted, within a step that stays small."""
        room = DRAFTING_STEP_TOKENS - sum(len(span.tokens) for span in spans)
        is_alone = len(self._running) == 1
        read_rows = self._limits.step_tokens if is_alone else self._chunk_tokens
        drafts = self._guesses.make(decodes, max(room, 0), read_rows)
        return [
            replace(span, tokens=span.tokens + draft, drafted=len(draft)) if draft else span
            for span, draft in zip(spans, drafts, strict=True)
        ]

    def _take_back(self, sequence: Sequence, rejected: int) -> None:
        """Drop the KV of drafted tokens that were not drawn."""
        if rejected:
            sequence.computed -= rejected
            self._kv.trim(self._slots[_owned(sequence)], sequence.computed)

    def _extend(self, sequence: Sequence, tokens: list[int]) -> Iterator[StepOutcome]:
        for token in tokens:
            sequence.tokens.append(token)
            if token in sequence.end_tokens:
                self._stop(sequence)
                yield StepOutcome(sequence, None, "stop")
                return
            if len(sequence.tokens) >= sequence.limit:
                self._stop(sequence)
                yield StepOutcome(sequence, token, "length")
                return
            if sequence.lookup is not None:
                sequence.lookup.append(token)
            yield StepOutcome(sequence, token, None)
        most = self._limits.step_tokens // self._limits.parallel
        sequence.forced = sequence.pending - 1 if sequence.pending <= most else 0

    # Room

    def _preempt_youngest(self) -> None:
        """Send the sequence that came last back to the queue; it is computed again later."""
        youngest = max(self._running.values(), key=lambda sequence: sequence.id)
        self._stop(youngest)
        youngest.computed = youngest.forced = 0
        self._waiting.append_first(youngest)
        self.preemption_count += 1

    def _stop(self, sequence: Sequence) -> Slot:
        del self._running[sequence.id]
        slot = self._slots[_owned(sequence)]
        sequence.slot = None
        self._kv.release(slot)
        return slot


def _chunks(prefills: list[Sequence], part: int, whole: int) -> list[TokenSpan]:
    """All but the last token of these prompts, in their order, in at most `whole` rows.

    Only the first is cut where it does not fit, to `part` rows: llama.cpp computes sequences of
    unequal length piece by piece, and small pieces slowly.
    """
    first = prefills[0].pending - 1
    spans = [_span(prefills[0], first if first <= whole else part)]
    room = whole - len(spans[0].tokens)
    for sequence in prefills[1:]:
        if sequence.pending - 1 <= room:
            spans.append(_span(sequence, sequence.pending - 1))
            room -= len(spans[-1].tokens)
    return spans


def _span(sequence: Sequence, length: int) -> TokenSpan:
    start = sequence.computed
    return TokenSpan(
        sequence_id=sequence.id,
        slot=_owned(sequence),
        start=start,
        tokens=tuple(sequence.tokens[start : start + length]),
        samples=start + length == len(sequence.tokens),
    )


def _owned(sequence: Sequence) -> int:
    if sequence.slot is None:
        raise AssertionError(f"sequence {sequence.id} runs without a slot")
    return sequence.slot


class _AdapterTurns:
    """Whose turn it is, of sequences with different adapters: the one that has waited longest.

    It lasts TURN_STEPS while others wait. `choose` decides for a step that is being planned, any
    number of times; `take` says that it was.
    """

    def __init__(self) -> None:
        self.current: AdapterScales = ()
        self._steps = 0  # taken in this turn
        self._count = 0
        self._last: dict[AdapterScales, int] = {}
        self._prefilled: set[AdapterScales] = set()

    @property
    def has_just_prefilled(self) -> bool:
        """Whether the last step with these adapters was a prefill."""
        return self.current in self._prefilled

    def choose(self, wanted: Iterable[AdapterScales]) -> AdapterScales:
        """The adapters of the next step, of those that are wanted."""
        present = set(wanted)
        if self.current not in present or (self._steps >= TURN_STEPS and len(present) > 1):
            self._last = {one: self._last[one] for one in present if one in self._last}
            self._prefilled &= present
            others = present - {self.current} or {()}
            self.current = min(others, key=lambda one: (self._last.get(one, -1), one))
            self._steps = 0
        return self.current

    def take(self, *, is_prefill: bool) -> None:
        self._steps += 1
        self._count += 1
        self._last[self.current] = self._count
        if is_prefill:
            self._prefilled.add(self.current)
        else:
            self._prefilled.discard(self.current)
