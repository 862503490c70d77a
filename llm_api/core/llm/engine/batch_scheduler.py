"""Runs sequences in batches: those that wait when one has ended are the next.

For models whose memory is one padded batch, which nobody can join: a sequence that ends or is
aborted leaves it, and the others go on in fewer rows. Which goes first is fair between scopes.
Data in, data out.
"""

from collections.abc import Callable, Iterator, Mapping
from itertools import islice

from llm_api.core.llm.engine.fair_queue import FairQueue
from llm_api.core.llm.engine.plan import StepPlan, TokenSpan
from llm_api.core.llm.engine.planner import Occupancy, StepOutcome
from llm_api.core.llm.engine.sequence import Sequence
from llm_api.core.llm.observation import SlotStatus


class BatchScheduler:
    """A `Planner`. The first step of a batch computes whole prompts, each later one a token a row.

    A span's slot is its row.
    """

    def __init__(self, rows: int) -> None:
        """At most `rows` sequences run together."""
        self._rows = rows
        self._waiting = FairQueue()
        self._running: dict[int, Sequence] = {}

    @property
    def has_work(self) -> bool:
        return bool(self._running or self._waiting)

    def add(self, sequence: Sequence) -> None:
        self._waiting.append(sequence)

    def fetch(self, sequence: Sequence, then: Callable[[], None]) -> bool:
        return False

    def plan_saves(self, *, may_wait: bool = False) -> Iterator[StepPlan]:
        return iter(())

    def abort(self, sequence: Sequence) -> None:
        if self._running.pop(sequence.id, None) is None:
            self._waiting.remove(sequence)

    def plan(self, *, is_awaited: bool = False) -> StepPlan:
        if not self._running:
            self._begin_batch()
        return StepPlan(
            spans=tuple(_span(sequence, row) for row, sequence in enumerate(self._running.values()))
        )

    def commit(self, plan: StepPlan, drawn: Mapping[int, list[int]]) -> list[StepOutcome]:
        outcomes = []
        for span in plan.spans:
            sequence = self._running[span.sequence_id]
            sequence.computed += len(span.tokens)
            for token in drawn[sequence.id]:
                sequence.tokens.append(token)
                outcome = _outcome(sequence, token)
                if outcome.finish_reason is not None:
                    del self._running[sequence.id]
                outcomes.append(outcome)
        return outcomes

    def learn_speed(self, plan: StepPlan, seconds: float) -> None:
        """Nothing to learn: a step is as long as its batch."""

    def fail(self, plan: StepPlan) -> list[Sequence]:
        return [self._running.pop(span.sequence_id) for span in plan.spans]

    def retry(self, plan: StepPlan) -> bool:
        return False

    def begin_anew(self, plan: StepPlan, slots: frozenset[int]) -> None:
        """Nothing is ever restored."""

    def check_integrity(self) -> None:
        if len(self._running) > self._rows:
            raise AssertionError("more sequences run than may")

    def occupancy(self) -> Occupancy:
        return Occupancy(len(self._running))

    def waiting(self) -> list[Sequence]:
        return list(self._waiting.in_order({}))

    def running(self) -> list[Sequence]:
        return list(self._running.values())

    def slots(self) -> list[SlotStatus]:
        return [_slot(row, sequence) for row, sequence in enumerate(self.running())]

    def _begin_batch(self) -> None:
        for sequence in list(islice(self._waiting.in_order({}), self._rows)):
            self._waiting.remove(sequence)
            self._running[sequence.id] = sequence


def _span(sequence: Sequence, row: int) -> TokenSpan:
    tokens = tuple(sequence.tokens[sequence.computed :])
    return TokenSpan(sequence.id, row, sequence.computed, tokens, samples=True)


def _slot(row: int, sequence: Sequence) -> SlotStatus:
    read = min(sequence.computed, sequence.prompt_length)
    unread = sequence.prompt_length - read
    return SlotStatus(row, sequence.id, 0, read, sequence.output_length, unread)


def _outcome(sequence: Sequence, token: int) -> StepOutcome:
    if token in sequence.end_tokens:
        return StepOutcome(sequence, None, "stop")
    return StepOutcome(
        sequence, token, "length" if len(sequence.tokens) >= sequence.limit else None
    )
