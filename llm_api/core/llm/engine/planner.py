"""What the engine asks of whatever decides its steps: `Scheduler`, or `BatchScheduler`."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

from llm_api.core.llm.engine.plan import StepPlan
from llm_api.core.llm.engine.sequence import Sequence
from llm_api.core.llm.observation import DraftStatus, KVTokens, SlotStatus, TierStatus
from llm_api.core.llm.types import FinishReason


@dataclass(frozen=True, slots=True)
class StepOutcome:
    """What a step meant for one sequence: a token of its answer, its end, or both."""

    sequence: Sequence
    token: int | None
    finish_reason: FinishReason | None


@dataclass(frozen=True, slots=True)
class Occupancy:
    """How many sequences run, how many were preempted so far, and what holds the KV buffer."""

    running: int
    preemptions: int = 0
    kv: KVTokens | None = None
    tiers: tuple[TierStatus, ...] = ()
    drafts: tuple[DraftStatus, ...] = ()


class Planner(Protocol):
    """Data in, data out. The compute thread alone calls it, but for what only reads."""

    @property
    def has_work(self) -> bool: ...

    def add(self, sequence: Sequence) -> None:
        """Queue a sequence."""
        ...

    def fetch(self, sequence: Sequence, then: Callable[[], None]) -> bool:
        """Have a stored prefix of it read from disk, before it is queued, and call `then`.

        False where nothing is worth that: then it can be queued at once.
        """
        ...

    def plan_saves(self, *, may_wait: bool = False) -> Iterator[StepPlan]:
        """Plans without spans, that keep what idle slots hold. Go on while there is no work.

        Where it may wait, an empty plan says that the next is better asked for a little later.
        """
        ...

    def abort(self, sequence: Sequence) -> None:
        """Forget a sequence, waiting or running."""
        ...

    def plan(self, *, is_awaited: bool = False) -> StepPlan:
        """The next step, short where others wait for its end. No spans only without work."""
        ...

    def commit(self, plan: StepPlan, drawn: Mapping[int, list[int]]) -> list[StepOutcome]:
        """Take in the tokens drawn for the spans that sample, by sequence id."""
        ...

    def learn_speed(self, plan: StepPlan, seconds: float) -> None:
        """Take in how long a plan took."""
        ...

    def fail(self, plan: StepPlan) -> list[Sequence]:
        """End the sequences of a plan that could not be computed."""
        ...

    def retry(self, plan: StepPlan) -> bool:
        """Take back a plan for which there was no room. False where the next would want as much."""
        ...

    def begin_anew(self, plan: StepPlan, slots: frozenset[int]) -> None:
        """Take back a plan that could not restore these slots; what was to go there is computed."""
        ...

    def check_integrity(self) -> None:
        """Raise AssertionError where the books are wrong."""
        ...

    def occupancy(self) -> Occupancy:
        """Only reads, on any thread: numbers of a step in progress need not fit together."""
        ...

    def waiting(self) -> list[Sequence]:
        """Those that wait, in the order of admission. Only reads, on any thread."""
        ...

    def running(self) -> list[Sequence]:
        """Those that were admitted, in that order. Only reads, on any thread."""
        ...

    def slots(self) -> list[SlotStatus]:
        """What stands where. Only reads, on any thread."""
        ...
