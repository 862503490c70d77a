"""What is guessed for the sequences of a step: by prompt lookup first, else by a draft model.

Data in, data out, but for the `Drafter`, which computes. A guess changes no token of an answer: the
model checks it in the same step.
"""

from collections.abc import Sequence as Items
from dataclasses import dataclass
from typing import Final, Protocol

from llm_api.core.llm.engine.draft_worth import MOST, CommonWorth, DraftCosts, Worth
from llm_api.core.llm.engine.sequence import Sequence
from llm_api.core.llm.engine.step_costs import StepCosts

NEAR: Final = 16
"""Unread tokens that are computed together with the first guess: no more than two rows a step."""


@dataclass(frozen=True, slots=True)
class Wish:
    """Up to `most` guesses behind `tokens`, which only grow while the id is the same.

    The next guess is made while the chance of those before it is at least `least_chance`. What was
    read for one scope is of no use to another.
    """

    sequence_id: int
    slot: int
    scope: str
    tokens: Items[int]
    most: int
    trust: float
    least_chance: float


@dataclass(frozen=True, slots=True)
class Guess:
    """A token, and how likely it and all guesses before it are what will be drawn."""

    token: int
    chance: float


class Drafter(Protocol):
    """A small model that reads along, in slots of its own. Called by the compute thread alone.

    It never fails: where it cannot compute it has no guesses.
    """

    @property
    def costs(self) -> DraftCosts: ...

    def unread(self, wish: Wish) -> int:
        """How many of the tokens it has not read yet; at least 1."""
        ...

    def read(self, wishes: Items[Wish], rows: int) -> None:
        """Read on in these texts, all but their last tokens, `rows` tokens at most. Blocks."""
        ...

    def guess(self, wishes: Items[Wish]) -> list[tuple[Guess, ...]]:
        """Guesses for each wish, in order. Blocks for as many small steps as the longest has."""
        ...


@dataclass(slots=True)
class _Attempt:
    """A draft model's guesses for a sequence in this step."""

    chances: list[float]
    spent: float


class Guesses:
    """Makes the drafts of steps, and learns from what became of them."""

    def __init__(self, costs: StepCosts, drafter: Drafter | None, longest: int) -> None:
        """`costs` say how many guesses of lookup pay; a draft model makes `longest` at most."""
        self._costs = costs
        self._drafter = drafter
        self._longest = longest
        self._common = CommonWorth()
        self._attempts: dict[int, _Attempt] = {}

    def make(self, decodes: Items[Sequence], room: int, read_rows: int) -> list[tuple[int, ...]]:
        """The drafts of these sequences, in order, `room` tokens at most together.

        A draft model may read `read_rows` tokens of texts that are new to it.
        """
        drafts = self._looked_up(decodes, room)
        room -= sum(map(len, drafts.values()))
        self._attempts.clear()
        if self._drafter is not None:
            others = [one for one in decodes if not drafts.get(one.id)]
            drafts |= self._modelled(self._drafter, others, len(decodes), room, read_rows)
        return [drafts.get(sequence.id, ()) for sequence in decodes]

    def learn_costs(self, rows: int, seconds: float) -> None:
        """Take in how long a step of so many rows took, of sequences that decode."""
        self._costs = self._costs.learnt(rows, seconds)

    def learn(self, sequence: Sequence, drafted: int, accepted: int) -> None:
        """Take in how many of the drafted tokens of a step were drawn."""
        attempt = self._attempts.pop(sequence.id, None)
        if attempt is not None and sequence.worth is not None:
            chances = attempt.chances if drafted else []  # there was no room to check them
            sequence.worth.learn(chances, accepted, attempt.spent)

    def _looked_up(self, decodes: Items[Sequence], room: int) -> dict[int, tuple[int, ...]]:
        """What lookup drafts for each, as far as that pays for all of them together."""
        found = {
            one.id: one.lookup.draft(max(min(room, _left(one)), 0))
            for one in decodes
            if one.lookup is not None
        }
        if not any(found.values()):
            return {}
        chances = [
            one.lookup.chances(len(found[one.id])) if one.lookup is not None else ()
            for one in decodes
        ]
        length = self._costs.best_length(chances, room)
        drafts = {key: draft[:length] for key, draft in found.items()}
        if self._costs.wants_equal and self._drafter is None:
            for one in decodes:
                draft = drafts.get(one.id, ())
                missing = min(length, _left(one)) - len(draft)
                drafts[one.id] = draft + (one.tokens[-1],) * max(missing, 0)
        return drafts

    def _modelled(
        self, drafter: Drafter, sequences: Items[Sequence], streams: int, room: int, rows: int
    ) -> dict[int, tuple[int, ...]]:
        costs = drafter.costs
        checking, guessing = costs.checking(streams), costs.guessing(streams)
        if checking + guessing > MOST:
            return {}
        wishes = []
        behind = []
        for sequence in sequences:
            worth = sequence.worth = sequence.worth or Worth(self._common)
            most = min(self._longest, _left(sequence), room)
            if most < 1 or not sequence.output_length or not worth.may_guess():
                continue
            wish = _wish(sequence, worth, most, checking + guessing)
            unread = drafter.unread(wish)
            cost = costs.reading(unread, streams)
            if unread <= NEAR:
                wishes.append((sequence, wish))
                room -= most
            elif worth.may_read(cost, sequence.output_length, _left(sequence)):
                behind.append(wish)
        if behind:
            drafter.read(behind, rows)
        found = drafter.guess([wish for _, wish in wishes]) if wishes else []
        drafts = {}
        for (sequence, _), guesses in zip(wishes, found, strict=True):
            kept = [guess for guess in guesses if guess.chance > checking]
            spent = guessing * len(guesses) + checking * len(kept)
            self._attempts[sequence.id] = _Attempt([guess.chance for guess in kept], spent)
            drafts[sequence.id] = tuple(guess.token for guess in kept)
        return drafts


def _left(sequence: Sequence) -> int:
    """Tokens that may be drafted: one more is drawn behind them."""
    return sequence.limit - len(sequence.tokens) - 1


def _wish(sequence: Sequence, worth: Worth, most: int, least_chance: float) -> Wish:
    if sequence.slot is None:
        raise AssertionError(f"sequence {sequence.id} runs without a slot")
    return Wish(
        sequence.id,
        sequence.slot,
        sequence.scope,
        sequence.tokens,
        most,
        worth.trust,
        least_chance,
    )
