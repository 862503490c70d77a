"""A draft model's guesses in the scheduler: what is asked for, and that no answer changes."""

import random

import pytest

from llm_api.core.llm.engine.draft_worth import COMMON_PAUSE
from llm_api.core.llm.engine.plan import AdapterScales
from llm_api.core.llm.engine.step_costs import StepCosts
from llm_api.core.llm.observation import DraftStatus
from tests.core.llm.engine.draft_totals import accepted
from tests.core.llm.engine.fake_drafter import FakeDrafter, steps_of
from tests.core.llm.engine.fake_runner import expected_answer, sometimes_forced
from tests.core.llm.engine.test_scheduler import Bench, cyclic, prompt_of


def test_a_draft_model_guesses_what_the_model_then_checks_in_one_step() -> None:
    bench = Bench(drafter=FakeDrafter())
    bench.add([1, 2, 3], length=12)
    bench.run()
    assert bench.answers[0] == expected_answer([1, 2, 3], 12)
    assert [span.drafted for plan in bench.runner.plans for span in plan.spans] == [0, 0, 8, 1]
    assert accepted(bench.scheduler) == 9
    assert bench.scheduler.occupancy().drafts == (DraftStatus("model", 9, 9, is_on=True),)


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
    drafter = FakeDrafter(costs=steps_of(0.01, 1.0))
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
    assert accepted(bench.scheduler) == 9


DEAR = steps_of(1.0, 0.4)
"""Of the model: a row to check a guess costs less than a half of a token."""


def test_guesses_stop_where_rows_cost_more_than_they_bring() -> None:
    drafter = FakeDrafter(costs=steps_of(0.1, 0.1))
    bench = Bench(drafter=drafter, costs=DEAR)
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


def test_guesses_that_do_not_hold_are_given_up_and_leave_nothing_behind() -> None:
    drafter = FakeDrafter(errors=1.0, costs=steps_of(0.1, 0.0))
    bench = Bench(drafter=drafter, costs=DEAR)
    bench.add([1, 2, 3], length=200)
    bench.run()
    assert bench.answers[0] == expected_answer([1, 2, 3], 200)
    assert accepted(bench.scheduler) == 0
    assert len(drafter.wishes) < 15, "of two hundred steps"


def test_a_new_sequence_waits_where_guesses_have_not_held_for_others() -> None:
    drafter = FakeDrafter(errors=1.0, costs=steps_of(0.1, 0.0))
    bench = Bench(drafter=drafter, costs=DEAR)
    for scope in "abcdefgh":
        bench.add([1, 2, 3], length=120, scope=scope)
        bench.run()
    drafter.wishes.clear()
    bench.add([1, 2, 3], length=COMMON_PAUSE - 2, scope="z")
    bench.run()
    assert not drafter.wishes


def test_more_is_guessed_the_more_often_guesses_hold() -> None:
    most = []
    for errors in (0.0, 0.35):
        drafter = FakeDrafter(errors, costs=steps_of(0.2, 0.1))
        bench = Bench(drafter=drafter, costs=steps_of(1.0, 0.2))
        bench.add([1, 2, 3], length=200)
        bench.run()
        drafted = [span.drafted for plan in bench.runner.plans for span in plan.spans]
        most.append(sum(drafted[-20:]) / 20)
    assert most[0] > most[1]


def test_of_a_divided_buffer_all_sequences_get_as_many_rows() -> None:
    bench = Bench(drafter=FakeDrafter(), costs=StepCosts(((1, 1.0), (32, 1.5))))
    bench.add([1, 2, 3], length=20)
    bench.add([4, 5, 6], length=30, scope="b")
    plans = [bench.step() for _ in range(3)]
    assert [span.drafted for span in plans[-1].spans] == [8, 8]
    bench.run()
    assert bench.answers[1] == expected_answer([4, 5, 6], 30)


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
    assert accepted(bench.scheduler) > 0
