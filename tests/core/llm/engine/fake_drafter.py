"""A drafter without a model: it knows the fake runner's rule, and errs as often as it is told."""

from collections.abc import Sequence
from random import Random

from llm_api.core.llm.engine.draft_worth import DraftCosts
from llm_api.core.llm.engine.guesses import Guess, Wish
from tests.core.llm.engine.fake_runner import expected_answer

CHEAP = DraftCosts(row=0.01, guess=0.01, guess_row=0.0, read=0.0)


class FakeDrafter:
    """Guesses right but for a part of `errors` of its guesses. Reads what it is told to."""

    def __init__(self, errors: float = 0.0, costs: DraftCosts = CHEAP) -> None:
        self.costs = costs
        self.wishes: list[Wish] = []
        self.read_tokens = 0
        self._errors = errors
        self._random = Random(1)
        self._known: dict[int, int] = {}

    def unread(self, wish: Wish) -> int:
        return len(wish.tokens) - min(self._known.get(wish.sequence_id, 0), len(wish.tokens) - 1)

    def read(self, wishes: Sequence[Wish], rows: int) -> None:
        for wish in wishes:
            count = min(rows, self.unread(wish) - 1)
            rows -= count
            self.read_tokens += count
            self._known[wish.sequence_id] = self._known.get(wish.sequence_id, 0) + count

    def guess(self, wishes: Sequence[Wish]) -> list[tuple[Guess, ...]]:
        self.wishes += wishes
        for wish in wishes:
            self._known[wish.sequence_id] = len(wish.tokens)
        return [
            tuple(
                Guess(token if self._random.random() >= self._errors else 1, 0.9**index)
                for index, token in enumerate(expected_answer(list(wish.tokens), wish.most), 1)
            )
            for wish in wishes
        ]
