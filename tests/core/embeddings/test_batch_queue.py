import random

import pytest

from llm_api.core.embeddings.batch_queue import PATIENCE, BatchQueue, TextBatch, TextJob

BUDGET = 100


def queue(*jobs: TextJob, budget: int = BUDGET) -> BatchQueue:
    made = BatchQueue(budget)
    for job in jobs:
        made.add(job)
    return made


def taken(batch: TextBatch | None) -> dict[TextJob, list[int]]:
    assert batch is not None
    return {job: list(indices) for job, indices in batch.parts}


def test_nothing_waits_at_first() -> None:
    assert queue().next_batch() is None


def test_texts_of_one_request_go_by_length_as_many_as_fit() -> None:
    job = TextJob([10, 40, 30, 50, 20])
    waiting = queue(job)
    assert taken(waiting.next_batch()) == {job: [3, 1]}
    assert taken(waiting.next_batch()) == {job: [2, 4, 0]}
    assert waiting.next_batch() is None


def test_a_text_longer_than_the_budget_goes_alone() -> None:
    job = TextJob([500, 400])
    waiting = queue(job)
    assert [taken(waiting.next_batch()) for _ in range(2)] == [{job: [0]}, {job: [1]}]


def test_small_requests_share_a_batch() -> None:
    jobs = [TextJob([10]), TextJob([12, 9]), TextJob([8])]
    assert taken(queue(*jobs).next_batch()) == {jobs[2]: [0], jobs[0]: [0], jobs[1]: [0, 1]}


def test_a_query_goes_before_the_rest_of_a_long_request_and_not_together_with_it() -> None:
    bulk, query = TextJob([50] * 10), TextJob([10])
    waiting = queue(bulk)
    waiting.next_batch()
    waiting.add(query)
    assert taken(waiting.next_batch()) == {query: [0]}
    assert taken(waiting.next_batch()) == {bulk: [7, 6]}


def test_a_short_text_is_not_padded_to_a_long_one() -> None:
    short, long = TextJob([5]), TextJob([200])
    assert taken(queue(short, long, budget=1000).next_batch()) == {short: [0]}


def test_different_adapters_never_share_a_batch() -> None:
    one, other = TextJob([10], "query"), TextJob([10], "passage")
    batch = queue(one, other).next_batch()
    assert taken(batch) == {one: [0]}
    assert batch is not None
    assert batch.adapter == "query"


def test_a_request_that_left_is_not_computed() -> None:
    gone, here = TextJob([10] * 50), TextJob([10])
    waiting = queue(gone, here)
    waiting.next_batch()
    waiting.remove(gone)
    waiting.remove(gone)
    assert waiting.next_batch() is None
    assert waiting.waiting_tokens == 0


def test_a_long_request_is_not_starved_by_short_ones() -> None:
    bulk = TextJob([60] * 10)
    waiting = queue(bulk)
    turns = []
    for _ in range(3 * (PATIENCE + 1)):
        waiting.add(TextJob([60]))
        turns.append(bulk in taken(waiting.next_batch()))
    assert [turn for turn, is_bulk in enumerate(turns) if is_bulk] == [8, 17, 26]


@pytest.mark.parametrize("seed", range(20))
def test_every_text_is_computed_once_within_the_budget(seed: int) -> None:
    choose = random.Random(seed)
    waiting = BatchQueue(BUDGET)
    rest: dict[TextJob, set[int]] = {}
    for _ in range(60):
        if choose.random() < 0.5:
            lengths = [choose.randint(1, 120) for _ in range(choose.choice([1, 1, 3, 20]))]
            job = TextJob(lengths, choose.choice([None, "a"]))
            waiting.add(job)
            rest[job] = set(range(len(lengths)))
        elif rest and choose.random() < 0.1:
            left = choose.choice(list(rest))
            waiting.remove(left)
            del rest[left]
        else:
            check(waiting.next_batch(), rest)
    while rest:
        check(waiting.next_batch(), rest)
    assert waiting.next_batch() is None


def check(batch: TextBatch | None, rest: dict[TextJob, set[int]]) -> None:
    """The batch is lawful. Takes it out of `rest`."""
    if batch is None:
        assert not rest
        return
    lengths = [job.lengths[index] for job, indices in batch.parts for index in indices]
    assert len(lengths) == 1 or max(lengths) * len(lengths) <= BUDGET
    for job, indices in batch.parts:
        assert job.adapter == batch.adapter
        assert len(set(indices)) == len(indices)
        rest[job] -= set(indices)
        assert len(rest[job]) == len(job.waiting)
        if not rest[job]:
            del rest[job]
