"""The order of admission."""

from llm_api.core.llm.engine.fair_queue import FairQueue
from llm_api.core.llm.engine.sequence import Sequence


def waiting(identifier: int, scope: str) -> Sequence:
    return Sequence(identifier, [1], 1, 8, scope=scope)


def order(queue: FairQueue, running: dict[str, int] | None = None) -> list[int]:
    return [sequence.id for sequence in queue.in_order(running or {})]


def test_one_scope_is_served_first_come_first_served() -> None:
    queue = FairQueue()
    for identifier in range(3):
        queue.append(waiting(identifier, "a"))
    assert order(queue) == [0, 1, 2]


def test_a_newcomer_does_not_wait_behind_the_crowd_of_another_scope() -> None:
    queue = FairQueue()
    for identifier in range(4):
        queue.append(waiting(identifier, "crowd"))
    queue.append(waiting(9, "newcomer"))
    assert order(queue) == [0, 9, 1, 2, 3]
    assert order(queue, {"crowd": 2}) == [9, 0, 1, 2, 3]


def test_a_served_scope_moves_behind_its_equals() -> None:
    queue = FairQueue()
    first, second = waiting(0, "a"), waiting(1, "b")
    for sequence in (first, second, waiting(2, "a"), waiting(3, "b")):
        queue.append(sequence)
    queue.remove(first)
    assert order(queue) == [1, 2, 3]


def test_a_preempted_sequence_goes_before_its_scope() -> None:
    queue = FairQueue()
    queue.append(waiting(1, "a"))
    queue.append_first(waiting(0, "a"))
    assert order(queue) == [0, 1]
    assert len(queue) == 2
