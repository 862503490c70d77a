"""A drafter without a model: it knows the fake runner's rule, and errs as often as it is told."""

from collections.abc import Sequence
from random import Random

from llm_api.core.llm.engine.model_guesses import Guess, Text, Wish
from llm_api.core.llm.engine.step_costs import StepCosts
from tests.core.llm.engine.fake_runner import expected_answer


def steps_of(first: float, row: float) -> StepCosts:
    """Steps of one row take `first`, one more row takes `row`."""
    return StepCosts(((1, first), (2, first + row)), wants_equal=False)


CHEAP = steps_of(0.01, 0.0)


class FakeDrafter:
    """Guesses right but for a part of `errors` of its guesses. Reads what it is told to."""

    def __init__(self, errors: float = 0.0, costs: StepCosts = CHEAP) -> None:
        self.costs = costs
        self.wishes: list[Wish] = []
        self.read_tokens = 0
        self._errors = errors
        self._random = Random(1)
        self._known: dict[int, int] = {}

    def unread(self, text: Text) -> int:
        return len(text.tokens) - min(self._known.get(text.sequence_id, 0), len(text.tokens) - 1)

    def read(self, texts: Sequence[Text], rows: int) -> None:
        for text in texts:
            count = min(rows, self.unread(text) - 1)
            rows -= count
            self.read_tokens += count
            self._known[text.sequence_id] = self._known.get(text.sequence_id, 0) + count

    def guess(self, wishes: Sequence[Wish]) -> list[tuple[Guess, ...]]:
        self.wishes += wishes
        for wish in wishes:
            self._known[wish.text.sequence_id] = len(wish.text.tokens)
        return [
            tuple(
                Guess(token if self._random.random() >= self._errors else 1, 0.9**index)
                for index, token in enumerate(expected_answer(list(wish.text.tokens), wish.most), 1)
            )
            for wish in wishes
        ]
