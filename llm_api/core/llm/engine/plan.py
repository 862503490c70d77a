"""What one engine step does, as values: the scheduler writes it, a runner executes it."""

from dataclasses import dataclass
from typing import TypeAlias

from llm_api.core.llm.prefix_cache.model_prefixes import StatePlace, StateSource


@dataclass(frozen=True, slots=True)
class CopyPrefix:
    """Let the empty slot `target` share the first `length` positions of `source`."""

    source: int
    target: int
    length: int


@dataclass(frozen=True, slots=True)
class TrimSlot:
    """Drop everything in `slot` from position `length` on. Length 0 empties it."""

    slot: int
    length: int


@dataclass(frozen=True, slots=True)
class SaveSlot:
    """Copy the state of all that `slot` holds to where it is kept, if there is room for it."""

    slot: int
    place: StatePlace


@dataclass(frozen=True, slots=True)
class RestoreSlot:
    """Fill the empty `slot` with a stored state: the tokens of its source, from position 0 on."""

    slot: int
    source: StateSource


KvOperation: TypeAlias = CopyPrefix | TrimSlot | SaveSlot | RestoreSlot

AdapterScales: TypeAlias = tuple[tuple[str, float], ...]
"""Names of LoRA adapters, ascending, each with how strongly it counts. Empty: the model itself."""


@dataclass(frozen=True, slots=True)
class TokenSpan:
    """Consecutive tokens of one sequence to decode at positions `start`, `start + 1`, ...

    With `samples` set the span reaches the sequence's end: a token is drawn behind it. The last
    `drafted` tokens are guesses: a token is drawn behind the one before them, and, as long as the
    guesses are what was drawn, behind each of them.
    """

    sequence_id: int
    slot: int
    start: int
    tokens: tuple[int, ...]
    samples: bool
    drafted: int = 0

    @property
    def draft(self) -> tuple[int, ...]:
        return self.tokens[len(self.tokens) - self.drafted :]


@dataclass(frozen=True, slots=True)
class StepPlan:
    """KV operations in their order, then the spans that one decode call computes together.

    All of them with the same `adapters`: they are the context's, not a row's.
    """

    kv_operations: tuple[KvOperation, ...] = ()
    spans: tuple[TokenSpan, ...] = ()
    adapters: AdapterScales = ()
