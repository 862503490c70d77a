"""Batches of whole prompts: events in, plans out."""

import random

import pytest

from llm_api.core.llm.engine.batch_scheduler import BatchScheduler
from llm_api.core.llm.engine.plan import TokenSpan
from llm_api.core.llm.engine.planner import StepOutcome
from llm_api.core.llm.engine.sequence import Sequence

END = 9


def sequence(number: int, *tokens: int, more: int = 8, scope: str = "") -> Sequence:
    return Sequence(
        number, list(tokens), len(tokens), len(tokens) + more, frozenset({END}), scope=scope
    )


@pytest.fixture
def scheduler() -> BatchScheduler:
    return BatchScheduler(rows=2)


def step(scheduler: BatchScheduler, token: int = 5) -> list[int]:
    """Ids of the sequences computed by one step, each of which draws `token`."""
    plan = scheduler.plan()
    scheduler.commit(plan, {span.sequence_id: [token] for span in plan.spans})
    return [span.sequence_id for span in plan.spans]


def test_first_step_computes_prompts_and_the_next_a_token_a_row(scheduler: BatchScheduler) -> None:
    scheduler.add(sequence(0, 1, 2, 3))
    scheduler.add(sequence(1, 4))
    plan = scheduler.plan()
    assert plan.spans == (TokenSpan(0, 0, 0, (1, 2, 3), True), TokenSpan(1, 1, 0, (4,), True))
    scheduler.commit(plan, {0: [7], 1: [8]})
    assert scheduler.plan().spans == (
        TokenSpan(0, 0, 3, (7,), True),
        TokenSpan(1, 1, 1, (8,), True),
    )


def test_who_comes_later_waits_for_the_end_of_the_batch(scheduler: BatchScheduler) -> None:
    scheduler.add(sequence(0, 1))
    assert step(scheduler) == [0]
    scheduler.add(sequence(1, 1))
    assert step(scheduler) == [0]
    assert step(scheduler, END) == [0]
    assert step(scheduler) == [1]


def test_batch_has_no_more_than_its_rows(scheduler: BatchScheduler) -> None:
    for number in range(5):
        scheduler.add(sequence(number, 1))
    assert [step(scheduler, END) for _ in range(3)] == [[0, 1], [2, 3], [4]]
    assert not scheduler.has_work


def test_batch_is_shared_between_scopes(scheduler: BatchScheduler) -> None:
    for number, scope in enumerate(["a", "a", "a", "b"]):
        scheduler.add(sequence(number, 1, scope=scope))
    assert step(scheduler) == [0, 3]


def test_answer_ends_with_an_end_token_or_at_its_limit(scheduler: BatchScheduler) -> None:
    ended, cut = sequence(0, 1), sequence(1, 1, more=1)
    scheduler.add(ended)
    scheduler.add(cut)
    outcomes = scheduler.commit(scheduler.plan(), {0: [END], 1: [5]})
    assert outcomes == [StepOutcome(ended, None, "stop"), StepOutcome(cut, 5, "length")]
    assert not scheduler.has_work


def test_aborted_sequence_leaves_the_batch_or_the_queue(scheduler: BatchScheduler) -> None:
    sequences = [sequence(number, 1) for number in range(4)]
    for one in sequences:
        scheduler.add(one)
    assert step(scheduler) == [0, 1]
    scheduler.abort(sequences[0])
    scheduler.abort(sequences[2])
    assert step(scheduler) == [1]
    scheduler.abort(sequences[1])
    assert step(scheduler) == [3]


def test_failed_batch_is_forgotten(scheduler: BatchScheduler) -> None:
    for number in range(3):
        scheduler.add(sequence(number, 1))
    assert [one.id for one in scheduler.fail(scheduler.plan())] == [0, 1]
    assert step(scheduler) == [2]


def test_every_sequence_of_a_random_walk_is_answered_in_full() -> None:
    walk = random.Random(3)
    scheduler = BatchScheduler(rows=3)
    lengths = {number: walk.randint(1, 9) for number in range(60)}
    said = dict.fromkeys(lengths, 0)
    waiting = [sequence(number, 1, 2, more=length) for number, length in lengths.items()]
    while waiting or scheduler.has_work:
        for _ in range(walk.randint(0, 2)):
            if waiting:
                scheduler.add(waiting.pop())
        plan = scheduler.plan()
        for outcome in scheduler.commit(plan, {span.sequence_id: [5] for span in plan.spans}):
            said[outcome.sequence.id] += 1
        scheduler.check_integrity()
    assert said == lengths
