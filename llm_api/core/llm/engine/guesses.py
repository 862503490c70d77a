"""What is guessed for the sequences of a step: by prompt lookup first, else by a draft model.

A guess changes no token of an answer: the model checks it in the same step.
"""

from collections.abc import Sequence as Items

from llm_api.core.llm.engine.model_guesses import Drafter, Drafts, Guess, ModelGuesses, left
from llm_api.core.llm.engine.sequence import Sequence
from llm_api.core.llm.engine.step_costs import StepCosts


class Guesses:
    """Makes the drafts of steps, and learns from what became of them."""

    def __init__(
        self,
        costs: StepCosts,
        drafter: Drafter | None,
        longest: int,
        lookup_costs: StepCosts | None = None,
    ) -> None:
        """`costs` say how many guesses pay, or `lookup_costs` how many of lookup do.

        A draft model makes `longest` guesses at most.
        """
        self.costs = costs
        self._lookup_costs = lookup_costs
        self._modelled = ModelGuesses(drafter, longest) if drafter is not None else None
        self._made: dict[int, int] = {}

    def make(self, decodes: Items[Sequence], room: int, read_rows: int) -> list[tuple[int, ...]]:
        """The drafts of these sequences, in order, `room` tokens at most together.

        A draft model may read `read_rows` tokens of texts that are new to it.
        """
        drafts = self._looked_up(decodes, room)
        if self._modelled is not None:
            drafts = self._modelled.add(drafts, decodes, self.costs, room, read_rows)
        self._made = {key: len(made) for key, made in drafts.items()}
        longest = max(map(len, drafts.values()), default=0) if self.costs.wants_equal else 0
        return [_levelled(one, drafts.get(one.id, ()), longest) for one in decodes]

    def learn_costs(self, rows: int, seconds: float) -> None:
        """Take in how long a step of so many rows took, of sequences that decode."""
        self.costs = self.costs.learnt(rows, seconds)

    def made(self, sequence: Sequence) -> int:
        """How many guesses there are for it in this step, without what only fills rows."""
        return self._made.get(sequence.id, 0)

    def is_modelled(self, sequence: Sequence) -> bool:
        """Whether they are those of a draft model."""
        return self._modelled is not None and self._modelled.has_guessed(sequence)

    def learn(self, sequence: Sequence, drawn: Items[int]) -> None:
        """Take in what was drawn for a sequence in the step."""
        if self._modelled is not None:
            self._modelled.learn(sequence, drawn)

    def _looked_up(self, decodes: Items[Sequence], room: int) -> Drafts:
        """What lookup drafts for each, as far as that pays for all of them together."""
        found = {
            one.id: one.lookup.draft(max(min(room, left(one)), 0))
            for one in decodes
            if one.lookup is not None
        }
        if not any(found.values()):
            return {}
        chances = [
            one.lookup.chances(len(found[one.id])) if one.lookup is not None else []
            for one in decodes
        ]
        length = (self._lookup_costs or self.costs).best(chances, room).length
        return {
            one.id: tuple(map(Guess, found[one.id][:length], of_one[:length]))
            for one, of_one in zip(decodes, chances, strict=True)
            if length and found.get(one.id)
        }


def _levelled(sequence: Sequence, guesses: Items[Guess], length: int) -> tuple[int, ...]:
    """The guesses and, as far as there is room, any tokens behind them, up to this length."""
    missing = min(length, left(sequence)) - len(guesses)
    filling = (sequence.tokens[-1],) * max(missing, 0)
    return (*(guess.token for guess in guesses), *filling)
