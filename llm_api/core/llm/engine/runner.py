"""What the engine asks of whatever computes: the seam that makes it testable without a model."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from llm_api.core.llm.engine.plan import StepPlan
from llm_api.core.llm.types import SampledLogprob, Sampling


@dataclass(frozen=True, slots=True)
class Drawn:
    """A sampled token, and its log-probabilities where the request asked for them."""

    token: int
    logprob: SampledLogprob | None = None


class ConstraintError(Exception):
    """A grammar cannot be followed any further: it has outgrown the limits of its compiler."""


class Constraint(Protocol):
    """What the tokens of one answer may be. Every method raises ConstraintError."""

    def allowed(self) -> NDArray[np.int32]:
        """Ids of the tokens that may come next, ascending, at least one. The caller keeps none."""
        ...

    def accept(self, token: int) -> None:
        """Go on behind a token, one of those allowed."""
        ...

    def force(self) -> list[int]:
        """Go on as far as only one text is possible, and return its tokens.

        Where the answer is complete and nothing may follow, the last one is an end token.
        """
        ...


class Follower(Protocol):
    """What watches an answer, and says what must follow in it."""

    def accept(self, token: int) -> Sequence[int]:
        """Go on behind a token. Returns those that must follow it: they have been taken in."""
        ...


@dataclass(frozen=True, slots=True)
class DrawingRules:
    """How the tokens of one sequence are drawn.

    `banned` are never drawn, unless the `constraint` allows nothing else. `thought` ends a thought
    where it has to; the constraint, if there is one, must allow what that writes.
    """

    sampling: Sampling
    top_logprobs: int | None = None
    banned: frozenset[int] = frozenset()
    constraint: Constraint | None = None
    thought: Follower | None = None

    @property
    def is_free(self) -> bool:
        """Whether nothing ever has to follow what is drawn."""
        return self.constraint is None and self.thought is None


class NoRoomError(Exception):
    """llama.cpp found no KV cells for the batch. Its memory is as before the call."""


class RestoreError(Exception):
    """Stored states could not be restored into `slots`, which are empty now."""

    def __init__(self, slots: frozenset[int]) -> None:
        super().__init__(f"slots {sorted(slots)} could not be restored")
        self.slots = slots


class DecodeError(Exception):
    """The batch could not be computed. The KV of its slots is undefined."""


class Runner(Protocol):
    """Owns the KV buffer and one sampler per sequence. Called by the compute thread alone."""

    def open(self, sequence_id: int, rules: DrawingRules, prompt: tuple[int, ...]) -> None:
        """Make the sequence's sampler; it knows the prompt for the repetition penalty."""
        ...

    def close(self, sequence_id: int) -> None:
        """Free the sequence's sampler. Its KV is the plan's affair. Idempotent."""
        ...

    def execute(self, plan: StepPlan) -> dict[int, list[Drawn]]:
        """Apply the KV operations, decode the spans, draw for those that sample. Blocks.

        By sequence id: one token, one more for each drafted token that was drawn as well, and
        those that must follow by the rules; none where the constraint failed.
        Raises RestoreError, NoRoomError or DecodeError; the KV operations have been applied in all
        cases, the copies of what could not be restored to no avail.
        """
        ...

    def shut_down(self) -> None:
        """Free everything. No call may follow. Idempotent."""
        ...
