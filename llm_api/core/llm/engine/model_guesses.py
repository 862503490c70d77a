"""What a draft model guesses for the sequences of a step, as far as that pays.

Data in, data out, but for the `Drafter`, which computes. Before it does, what guesses are likely to
bring is weighed against its steps and the rows that check them; afterwards, as many of the guesses
are checked as pay by their own chances.
"""

from collections.abc import Mapping
from collections.abc import Sequence as Items
from dataclasses import dataclass
from typing import Final, Protocol

from llm_api.core.llm.engine.draft_worth import CommonWorth, Worth
from llm_api.core.llm.engine.sequence import Sequence
from llm_api.core.llm.engine.slots import common_prefix_length
from llm_api.core.llm.engine.step_costs import DraftLength, StepCosts

FIRST_STEPS: Final = 3
"""Steps of a drafter before its first guess; the shortest counts."""

NEAR: Final = 16
"""Unread tokens that are computed together with the first guess: no more than two rows a step."""

UNREAD: Final = 2
"""Unread tokens where all guesses held: the last of them, and what was drawn behind it."""

LEAST_GAIN: Final = 1.05
"""How much faster guesses must promise to be before any is made."""

LEAST_HOLD: Final = 0.5
"""A guess after the next is taken to hold so often at least."""


@dataclass(frozen=True, slots=True)
class Text:
    """What a sequence consists of. The tokens only grow while the id is the same.

    What was read for one scope is of no use to another.
    """

    sequence_id: int
    slot: int
    scope: str
    tokens: Items[int]


@dataclass(frozen=True, slots=True)
class Guess:
    """A token, and how likely it and all guesses before it are what will be drawn."""

    token: int
    chance: float


@dataclass(frozen=True, slots=True)
class Wish:
    """Up to `most` guesses behind a text.

    The next guess is made while the chance of those before it is at least `least_chance`.
    """

    text: Text
    most: int
    trust: float
    least_chance: float

    def guess(self, token: int, confidence: float, before: Items[Guess]) -> Guess:
        """The guess behind those `before`, by how sure the drafter is of its token. Pure."""
        return Guess(token, confidence**self.trust * (before[-1].chance if before else 1.0))

    def wants_more(self, guesses: Items[Guess]) -> bool:
        """Whether one more is wanted behind these, of which there is at least one. Pure."""
        return len(guesses) < self.most and guesses[-1].chance >= self.least_chance


Drafts = Mapping[int, tuple[Guess, ...]]
"""By the id of a sequence."""


class Drafter(Protocol):
    """A small model that reads along, in slots of its own. Called by the compute thread alone.

    It never fails: where it cannot compute it has no guesses.
    """

    @property
    def costs(self) -> StepCosts:
        """What its steps take by their rows: those that read, and those that guess."""
        ...

    def unread(self, text: Text) -> int:
        """How many of the tokens it has not read yet; at least 1."""
        ...

    def read(self, texts: Items[Text], rows: int) -> None:
        """Read on in these texts, all but their last tokens, `rows` tokens at most. Blocks."""
        ...

    def guess(self, wishes: Items[Wish]) -> list[tuple[Guess, ...]]:
        """Guesses for each wish, in order. Blocks for as many small steps as the longest has.

        The first step reads what is unread: of each text as much as of the one with most.
        """
        ...


@dataclass(frozen=True, slots=True)
class _Candidate:
    """A sequence that guesses may be made for; the drafter has `unread` tokens of it to read."""

    sequence: Sequence
    worth: Worth
    text: Text
    unread: int
    left: int

    @property
    def is_near(self) -> bool:
        return self.unread <= NEAR


class ModelGuesses:
    """Has a drafter guess, and learns from what became of the guesses."""

    def __init__(self, drafter: Drafter, longest: int) -> None:
        """At most `longest` guesses are made for a sequence in a step."""
        self._drafter = drafter
        self._longest = longest
        self._common = CommonWorth()
        self._attempts: Drafts = {}

    def add(
        self, drafts: Drafts, decodes: Items[Sequence], costs: StepCosts, room: int, rows: int
    ) -> Drafts:
        """These drafts and those of the draft model, as far as they pay together.

        `costs` are those of the model itself. The drafter reads `rows` tokens of a text at most.
        """
        costs = costs.cautious()
        self._attempts = {}
        candidates = [
            self._candidate(one)
            for one in decodes
            if one.id not in drafts and one.output_length and left(one) > 0
        ]
        if not candidates:
            return drafts
        plan = self._plan(drafts, decodes, candidates, costs, room)
        willing = _willing(candidates, plan)
        self._read_on([one for one in willing if not one.is_near], plan, costs, len(decodes), rows)
        near = [one for one in willing if one.is_near]
        if not near:
            return drafts
        least = self._least_chance(plan, costs, len(decodes), len(candidates))
        most = min(self._longest, room // len(near)) if plan.length else 1
        wishes = [
            Wish(
                one.text,
                min(most, one.left),
                one.worth.trust,
                least / max(one.worth.hold, LEAST_HOLD),
            )
            for one in near
        ]
        found = self._drafter.guess(wishes)
        self._attempts = {
            one.sequence.id: made for one, made in zip(near, found, strict=True) if made
        }
        drafts = {**drafts, **self._attempts}
        spent = self._spent(near, found)
        chances = [[guess.chance for guess in drafts.get(one.id, ())] for one in decodes]
        length = costs.best(chances, room, lambda _length: spent).length
        return {key: made[:length] for key, made in drafts.items() if made[:length]}

    def has_guessed(self, sequence: Sequence) -> bool:
        """Whether the drafter has guessed for it in this step."""
        return sequence.id in self._attempts

    def learn(self, sequence: Sequence, drawn: Items[int]) -> None:
        """Take in what was drawn for a sequence: it tells of its guesses, checked or not."""
        guesses = self._attempts.get(sequence.id, ())
        if guesses and sequence.worth is not None:
            held = common_prefix_length([guess.token for guess in guesses], drawn)
            known = guesses if held < len(drawn) else guesses[:held]
            sequence.worth.learn([guess.chance for guess in known], held)

    def _candidate(self, sequence: Sequence) -> _Candidate:
        if sequence.slot is None:
            raise AssertionError(f"sequence {sequence.id} runs without a slot")
        worth = sequence.worth = sequence.worth or Worth(self._common)
        text = Text(sequence.id, sequence.slot, sequence.prefix_scope, sequence.tokens)
        return _Candidate(sequence, worth, text, self._drafter.unread(text), left(sequence))

    def _plan(
        self,
        drafts: Drafts,
        decodes: Items[Sequence],
        candidates: Items[_Candidate],
        costs: StepCosts,
        room: int,
    ) -> DraftLength:
        """How many guesses are likely to pay, by how many held lately."""
        expected = {
            one.sequence.id: one.worth.expected(min(self._longest, one.left)) for one in candidates
        } | {key: [guess.chance for guess in made] for key, made in drafts.items()}
        first = min(max((one.unread for one in candidates if one.is_near), default=1), UNREAD)
        first_seconds = self._seconds(first * len(candidates))
        further = self._seconds(len(candidates))
        plan = costs.best(
            [expected.get(one.id, ()) for one in decodes],
            room,
            lambda length: first_seconds + (length - 1) * further if length else 0.0,
        )
        return plan if plan.gain >= LEAST_GAIN else DraftLength(0, 1.0)

    def _least_chance(
        self, plan: DraftLength, costs: StepCosts, streams: int, guessing: int
    ) -> float:
        """That pays for a guess: its part of a step of the drafter, and a row to check it.

        In tokens that all streams would write in that time.
        """
        length = max(plan.length, 1)
        none = costs.seconds(streams)
        row = (costs.seconds(streams + guessing * length) - none) / (guessing * length)
        made = self._seconds(guessing) / guessing
        return (made + row) * streams * plan.gain / none

    def _read_on(
        self,
        behind: Items[_Candidate],
        plan: DraftLength,
        costs: StepCosts,
        streams: int,
        rows: int,
    ) -> None:
        """Have texts read whose answers are likely to be worth it, while all streams wait."""
        a_second = streams / costs.seconds(streams)
        worth_it = [
            one.text
            for one in behind
            if one.worth.may_read(
                self._seconds(one.unread) * a_second,
                plan.gain,
                one.sequence.output_length,
                one.left,
            )
        ]
        if worth_it:
            self._drafter.read(worth_it, rows)

    def _seconds(self, rows: int) -> float:
        """What a step of the drafter takes."""
        return self._drafter.costs.cautious().seconds(rows)

    def _spent(self, near: Items[_Candidate], found: Items[tuple[Guess, ...]]) -> float:
        """What making these guesses took."""
        counts = [sum(len(made) > index for made in found) for index in range(1, self._longest)]
        counts.append(max(one.unread for one in near) * len(near))
        return sum(self._seconds(count) for count in counts if count)


def left(sequence: Sequence) -> int:
    """Tokens that may be drafted: one more is drawn behind them."""
    return sequence.limit - len(sequence.tokens) - 1


def _willing(candidates: Items[_Candidate], plan: DraftLength) -> list[_Candidate]:
    """Those for which guesses are made in this step: all, or those that are due for a try."""
    if not plan.length:
        return [one for one in candidates if one.worth.is_due()]
    for one in candidates:
        one.worth.go_on()
    return list(candidates)
