"""A draft model's guesses in the scheduler: what is asked for, and that no answer changes."""

import random

import pytest

from llm_api.core.llm.engine.draft_worth import DraftCosts
from llm_api.core.llm.engine.plan import AdapterScales
from tests.core.llm.engine.fake_drafter import FakeDrafter
from tests.core.llm.engine.fake_runner import expected_answer, sometimes_forced
from tests.core.llm.engine.test_scheduler import Bench, cyclic, prompt_of


def test_a_draft_model_guesses_what_the_model_then_checks_in_one_step() -> None:
    bench = Bench(drafter=FakeDrafter())
    bench.add([1, 2, 3], length=12)
    bench.run()
    assert bench.answers[0] == expected_answer([1, 2, 3], 12)
    assert [span.drafted for plan in bench.runner.plans for span in plan.spans] == [0, 0, 8, 1]
    assert bench.scheduler.accepted_tokens == 9


def test_nothing_is_guessed_before_the_first_token_has_been_drawn() -> None:
    drafter = FakeDrafter()
    bench = Bench(drafter=drafter)
    bench.add(prompt_of(40), length=4)
    bench.step()
    bench.step()
    assert (drafter.wishes, drafter.read_tokens) == ([], 0)
    assert bench.answers[0], "the first token is there"


def test_a_long_prompt_is_read_in_parts_beside_others() -> None:
    drafter = FakeDrafter()
    bench = Bench(drafter=drafter, step_tokens=64)
    bench.add(prompt_of(50), length=30)
    bench.add(prompt_of(9, seed=1), length=30, scope="b")
    bench.run()
    assert drafter.read_tokens >= 48
    assert bench.answers[0] == expected_answer(prompt_of(50), 30)


def test_a_long_prompt_is_not_read_for_a_short_answer() -> None:
    drafter = FakeDrafter(costs=DraftCosts(0.01, 0.01, 0.0, read=1.0))
    bench = Bench(drafter=drafter)
    bench.add(prompt_of(500), length=30)
    bench.run()
    assert (drafter.wishes, drafter.read_tokens) == ([], 0)


def test_what_is_repeated_is_looked_up_and_not_guessed() -> None:
    drafter = FakeDrafter()
    bench = Bench(drafter=drafter, draft=4)
    bench.runner.draw = cyclic
    bench.add([1, 2, 3, 4, 5, 1, 2, 3, 4, 5], length=12)
    bench.run()
    assert not drafter.wishes
    assert bench.scheduler.accepted_tokens == 9


def test_guesses_stop_where_rows_cost_more_than_they_bring() -> None:
    drafter = FakeDrafter(costs=DraftCosts(row=0.4, guess=0.2, guess_row=0.2, read=0.0))
    bench = Bench(drafter=drafter)
    bench.add([1, 2, 3], length=30)
    for _ in range(3):
        bench.step()
    assert drafter.wishes, "for one stream they pay"
    for scope in "bcd":
        bench.add([4, 5, 6], length=20, scope=scope)
    for _ in range(3):
        bench.step()
    drafter.wishes.clear()
    bench.step()
    assert not drafter.wishes, "for four they do not"


def test_wrong_guesses_leave_nothing_behind_and_are_given_up() -> None:
    drafter = FakeDrafter(errors=1.0, costs=DraftCosts(0.2, 0.1, 0.0, 0.0))
    bench = Bench(drafter=drafter)
    bench.add([1, 2, 3], length=100)
    bench.run()
    assert bench.answers[0] == expected_answer([1, 2, 3], 100)
    assert bench.scheduler.accepted_tokens == 0
    assert len(drafter.wishes) < 25, "a step of four at most"


def test_a_kv_that_cannot_be_cut_is_not_guessed_for() -> None:
    drafter = FakeDrafter()
    bench = Bench(drafter=drafter, can_trim=False)
    bench.add([1, 2, 3], length=10)
    bench.run()
    assert not drafter.wishes


@pytest.mark.parametrize("seed", range(6))
def test_a_random_walk_gives_every_sequence_the_answer_it_has_without(seed: int) -> None:
    rng = random.Random(seed)
    drafter = FakeDrafter(errors=rng.choice([0.0, 0.3, 0.9]))
    bench = Bench(
        parallel=3, slots=5, cells=160, step_tokens=24, draft=4 * (seed % 2), drafter=drafter
    )
    poet: AdapterScales = (("poet", 1.0),)
    if seed % 3 == 0:  # what the fake forces is right without adapters alone
        bench.runner.force, poet = sometimes_forced, ()
    expected: dict[int, list[int]] = {}
    for _ in range(60):
        if rng.random() < 0.5:
            adapters: AdapterScales = rng.choice([(), (), poet])
            prompt, length = prompt_of(rng.randint(1, 60), rng.randint(0, 2)), rng.randint(1, 40)
            sequence = bench.add(prompt, length, rng.choice("ab"), adapters)
            expected[sequence.id] = expected_answer(prompt, length, adapters)
        for _ in range(rng.randint(0, 8)):
            if bench.scheduler.has_work:
                bench.step()
    bench.run()
    assert {key: bench.answers[key] for key in expected} == expected
    assert bench.scheduler.accepted_tokens > 0
