"""A runner without a model: it keeps a KV buffer in lists and draws from a rule.

It checks what llama.cpp would: a slot is extended at its end only, a copy goes into an empty slot,
a step fits the buffer. The token drawn depends on everything resident in the slot, so that a wrong
prefix gives a wrong text.
"""

from collections.abc import Callable, Sequence

import numpy as np

from llm_api.core.llm.engine.plan import (
    AdapterScales,
    CopyPrefix,
    RestoreSlot,
    SaveSlot,
    StepPlan,
    TrimSlot,
)
from llm_api.core.llm.engine.runner import DecodeError, DrawingRules, Drawn, RestoreError
from llm_api.core.llm.prefix_cache.model_prefixes import StatePlace


def next_token(resident: list[int]) -> int:
    """A token from 100 to 1099 that depends on every token before it."""
    value = 7
    for token in resident:
        value = (value * 31 + token) % 1000003
    return 100 + value % 1000


def expected_answer(prompt: list[int], length: int, adapters: AdapterScales = ()) -> list[int]:
    """What any correct engine generates for this prompt with the fake runner."""
    tokens = list(prompt)
    for _ in range(length):
        tokens.append(next_token(computed(tokens, adapters)))
    return tokens[len(prompt) :]


def computed(tokens: Sequence[int], adapters: AdapterScales) -> list[int]:
    """The KV of these tokens: another with other adapters."""
    shift = sum(ord(letter) for name, _ in adapters for letter in name) * 1000
    return [token + shift for token in tokens]


def sometimes_forced(resident: list[int]) -> list[int]:
    """Followers that are what would have been drawn, so that they do not change the answer."""
    return expected_answer(resident, resident[-1] % 4) if resident[-1] % 3 == 0 else []


class FakeRunner:
    """Executes plans on lists. `before_step` may raise what llama.cpp might."""

    def __init__(
        self, slot_count: int, before_step: Callable[[StepPlan], None] = lambda plan: None
    ) -> None:
        self.kv: list[list[int]] = [[] for _ in range(slot_count)]
        self.before_step = before_step
        self.draw: Callable[[list[int]], int] = next_token
        self.force: Callable[[list[int]], list[int]] = lambda resident: []
        self.open_samplers: set[int] = set()
        self.plans: list[StepPlan] = []
        self.is_shut_down = False
        self.refuses_states = False

    def open(self, sequence_id: int, rules: DrawingRules, prompt: tuple[int, ...]) -> None:
        assert sequence_id not in self.open_samplers
        self.open_samplers.add(sequence_id)

    def close(self, sequence_id: int) -> None:
        self.open_samplers.discard(sequence_id)

    def execute(self, plan: StepPlan) -> dict[int, list[Drawn]]:
        self.plans.append(plan)
        lost: set[int] = set()
        for operation in plan.kv_operations:
            match operation:
                case CopyPrefix(source, target, length):
                    assert not self.kv[target], "a copy needs an empty slot"
                    is_there = length <= len(self.kv[source])
                    assert is_there or source in lost, "a copy of what is not computed"
                    self.kv[target] = self.kv[source][:length]
                case TrimSlot(slot, length):
                    del self.kv[slot][length:]
                case SaveSlot(slot, place):
                    self._save(slot, place)
                case RestoreSlot(slot, source):
                    assert not self.kv[slot], "a state goes into an empty slot"
                    if self.refuses_states:
                        source.failed()
                        lost.add(slot)
                    else:
                        self.kv[slot] = source.state.view(np.int64).tolist()
                        source.took(1e-6)
        if lost:
            raise RestoreError(frozenset(lost))
        self.before_step(plan)
        drawn: dict[int, list[Drawn]] = {}
        for span in plan.spans:
            assert span.start == len(self.kv[span.slot]), "a span must follow what is resident"
            resident = self.kv[span.slot]
            resident.extend(computed(span.tokens, plan.adapters))
            if span.samples:
                drawn[span.sequence_id] = self._draw_along(resident, span.draft, plan.adapters)
        return drawn

    def _save(self, slot: int, place: StatePlace) -> None:
        values = np.array(self.kv[slot], dtype=np.int64)
        state = place.allot(values.nbytes)
        if state is not None:
            state[:] = values.view(np.uint8)
            place.keep(state, 1e-6)

    def _draw_along(
        self, resident: list[int], draft: tuple[int, ...], adapters: AdapterScales
    ) -> list[Drawn]:
        verified = resident[: len(resident) - len(draft)]
        drawn: list[int] = []
        while len(drawn) <= len(draft) and tuple(drawn) == draft[: len(drawn)]:
            drawn.append(self.draw(verified + computed(drawn, adapters)))
            drawn += self.force(verified + computed(drawn, adapters))
        return [Drawn(token) for token in drawn]

    def shut_down(self) -> None:
        self.is_shut_down = True

    @property
    def computed_tokens(self) -> int:
        return sum(len(span.tokens) for plan in self.plans for span in plan.spans)


def fail_once(error: Exception) -> Callable[[StepPlan], None]:
    """A `before_step` that raises at the first step alone."""
    errors = [error]

    def raise_first(plan: StepPlan) -> None:
        if errors:
            raise errors.pop()

    return raise_first


__all__ = [
    "DecodeError",
    "FakeRunner",
    "expected_answer",
    "fail_once",
    "next_token",
    "sometimes_forced",
]
